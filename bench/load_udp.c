/* SPDX-License-Identifier: MIT
 *
 * The udp case: CONNECTIONS connected sockets, each with DEPTH datagrams of SIZE bytes in flight
 * that come back. A datagram carries its number; one that comes back twice or changed is an error.
 *
 * A lost datagram would leave its place in flight empty for ever, so a server that loses some is
 * found out: the run fails when it stops answering. On the loopback interface nothing is lost while
 * the receivers' buffers have room, and here they have: DEPTH is small.
 */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, LARGEST = 65507 };

struct peer {
    int fd;
    uint64_t asked;     /* datagrams sent so far: the next one's number */
    uint64_t *asked_at; /* a ring of `depth`: when each was sent, 0 once it has come back */
};

struct udp {
    const struct target *target;
    int epoll;
    size_t count, size;
    uint64_t depth;
    uint64_t in_flight;
    uint64_t stop_ns;
    struct peer *peers;
    struct slice *slice;
    struct histogram *latency;
};

static unsigned char datagram[LARGEST], received[LARGEST];

static void ask(struct udp *udp, struct peer *peer, uint64_t now) {
    memcpy(datagram, &peer->asked, sizeof peer->asked);
    if (send(peer->fd, datagram, udp->size, 0) < 0) {
        fail("%s: send: %s", udp->target->name, strerror(errno));
    }
    peer->asked_at[peer->asked++ % udp->depth] = now;
    udp->in_flight++;
}

static void check_datagram(struct udp *udp, struct peer *peer, ssize_t count, uint64_t *number) {
    memcpy(number, received, sizeof *number);
    if ((size_t)count != udp->size ||
        memcmp(received + sizeof *number, datagram + sizeof *number, udp->size - sizeof *number)) {
        fail("%s: a datagram came back changed", udp->target->name);
    }
    if (*number >= peer->asked || *number + udp->depth < peer->asked ||
        peer->asked_at[*number % udp->depth] == 0) {
        fail("%s: datagram %llu came back unasked", udp->target->name, (unsigned long long)*number);
    }
}

static uint64_t serve_event(struct udp *udp, struct peer *peer) {
    uint64_t now, number;
    uint64_t answered = 0;
    for (;;) {
        ssize_t count = recv(peer->fd, received, sizeof received, 0);
        now = now_ns();
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) fail("%s: recv: %s", udp->target->name, strerror(errno));
        check_datagram(udp, peer, count, &number);
        if (now < udp->stop_ns) {
            udp->slice->answered++;
            histogram_add(udp->latency, now - peer->asked_at[number % udp->depth]);
        }
        peer->asked_at[number % udp->depth] = 0;
        udp->slice->messages++;
        udp->in_flight--;
        answered++;
    }
    if (now >= udp->stop_ns) return now;
    /* Numbers are given in order, so a place in the ring is used again only when it is empty. */
    while (answered-- > 0 && peer->asked_at[peer->asked % udp->depth] == 0) ask(udp, peer, now);
    return now;
}

static uint64_t serve_batch(struct udp *udp) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(udp->epoll, events, EVENTS, PATIENCE_MS);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (count <= 0) return now_ns();
    uint64_t now = 0;
    for (int i = 0; i < count; i++) now = serve_event(udp, events[i].data.ptr);
    return now;
}

static void udp_run(void *state, uint64_t window_ns, struct slice *slice,
                    struct histogram *latency) {
    struct udp *udp = state;
    uint64_t start = now_ns();
    uint64_t now = start;
    uint64_t give_up = start + window_ns + (uint64_t)PATIENCE_MS * 1000000;
    udp->slice = slice;
    udp->latency = latency;
    udp->stop_ns = start + window_ns;
    for (size_t i = 0; i < udp->count; i++) {
        for (uint64_t j = 0; j < udp->depth; j++) ask(udp, &udp->peers[i], now);
    }
    while (udp->in_flight > 0) {
        now = serve_batch(udp);
        if (udp->in_flight > 0 && now > give_up) {
            fail("%s: %llu datagrams did not come back within %d ms", udp->target->name,
                 (unsigned long long)udp->in_flight, PATIENCE_MS);
        }
    }
    slice->window_ns = window_ns;
    slice->elapsed_ns = now - start;
}

static void open_peer(struct udp *udp, struct peer *peer) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)udp->target->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = peer};
    peer->asked_at = allocate(udp->depth, sizeof *peer->asked_at);
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        epoll_ctl(udp->epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0) {
        fail("%s: cannot make a UDP socket: %s", udp->target->name, strerror(errno));
    }
}

static void *udp_open(const struct target *target, const struct options *options) {
    struct udp *udp = allocate(1, sizeof *udp);
    if (options->size < (long)sizeof(uint64_t) || options->size > LARGEST) {
        fail("udp: --size must be from %zu to %d", sizeof(uint64_t), LARGEST);
    }
    memset(datagram, 'u', sizeof datagram);
    udp->target = target;
    udp->count = (size_t)options->connections;
    udp->size = (size_t)options->size;
    udp->depth = (uint64_t)options->depth;
    udp->peers = allocate(udp->count, sizeof *udp->peers);
    udp->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (udp->epoll < 0) fail("epoll_create1: %s", strerror(errno));
    for (size_t i = 0; i < udp->count; i++) open_peer(udp, &udp->peers[i]);
    return udp;
}

static void udp_close(void *state) {
    struct udp *udp = state;
    for (size_t i = 0; i < udp->count; i++) {
        close(udp->peers[i].fd);
        free(udp->peers[i].asked_at);
    }
    close(udp->epoll);
    free(udp->peers);
    free(udp);
}

const struct load_case load_case_udp = {
    .name = "udp",
    .summary = "datagrams of SIZE bytes come back",
    .open = udp_open,
    .run = udp_run,
    .close = udp_close,
};
