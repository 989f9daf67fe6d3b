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
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, LARGEST = 65507, RUN = 65507, BATCH = 16, MOST_SEGMENTS = 64 };

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
    uint64_t run; /* datagrams that are sent at once */
    uint64_t in_flight;
    uint64_t stop_ns;
    struct peer *peers;
    struct slice *slice;
    struct histogram *latency;
};

/* Datagrams go by the run, which the kernel cuts up (UDP_SEGMENT), and come by the batch, so that the
 * client has time to spare when the server has none: one that makes a call for each is busier than a
 * server that does not. The server sees no difference: to it each comes alone. (With UDP_GRO it
 * would: what a server sends by the run would then come as one, which only loopback does.) */
static unsigned char going[RUN];
static struct batch {
    unsigned char bytes[BATCH][LARGEST + 1];
    struct iovec parts[BATCH];
    struct mmsghdr headers[BATCH];
} coming;

static void open_batch(size_t size) {
    for (size_t i = 0; i < BATCH; i++) {
        coming.parts[i] = (struct iovec){coming.bytes[i], size + 1};
        coming.headers[i].msg_hdr = (struct msghdr){.msg_iov = &coming.parts[i], .msg_iovlen = 1};
    }
}

static void ask(struct udp *udp, struct peer *peer, uint64_t wanted, uint64_t now) {
    uint64_t most = udp->run;
    while (wanted > 0) {
        uint64_t count = wanted < most ? wanted : most;
        for (uint64_t i = 0; i < count; i++) {
            memcpy(going + i * udp->size, &peer->asked, sizeof peer->asked);
            peer->asked_at[peer->asked++ % udp->depth] = now;
        }
        if (send(peer->fd, going, count * udp->size, 0) < 0) {
            fail("%s: send: %s", udp->target->name, strerror(errno));
        }
        udp->in_flight += count;
        wanted -= count;
    }
}

static uint64_t check_datagram(struct udp *udp, const struct peer *peer, int i) {
    const unsigned char *received = coming.bytes[i];
    uint64_t number;
    memcpy(&number, received, sizeof number);
    if (coming.headers[i].msg_len != udp->size ||
        memcmp(received + sizeof number, going + sizeof number, udp->size - sizeof number) != 0) {
        fail("%s: a datagram came back changed", udp->target->name);
    }
    if (number >= peer->asked || number + udp->depth < peer->asked ||
        peer->asked_at[number % udp->depth] == 0) {
        fail("%s: datagram %llu came back unasked", udp->target->name, (unsigned long long)number);
    }
    return number;
}

static void answered(struct udp *udp, struct peer *peer, int i, uint64_t now) {
    uint64_t number = check_datagram(udp, peer, i);
    if (now < udp->stop_ns) {
        udp->slice->answered++;
        histogram_add(udp->latency, now - peer->asked_at[number % udp->depth]);
    }
    peer->asked_at[number % udp->depth] = 0;
    udp->slice->messages++;
    udp->in_flight--;
}

static uint64_t serve_event(struct udp *udp, struct peer *peer) {
    uint64_t now, free_places = 0;
    int count;
    do {
        count = recvmmsg(peer->fd, coming.headers, BATCH, 0, NULL);
        now = now_ns();
        if (count < 0 && errno != EAGAIN) fail("%s: recv: %s", udp->target->name, strerror(errno));
        for (int i = 0; i < count; i++) answered(udp, peer, i, now);
    } while (count == BATCH); /* the event tells of what comes later */
    if (now >= udp->stop_ns) return now;
    /* Numbers are given in order, so a place in the ring is used again only when it is empty. */
    while (free_places < udp->depth &&
           peer->asked_at[(peer->asked + free_places) % udp->depth] == 0) {
        free_places++;
    }
    ask(udp, peer, free_places, now);
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
        ask(udp, &udp->peers[i], udp->depth, now);
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
    int size = (int)udp->size;
    peer->asked_at = allocate(udp->depth, sizeof *peer->asked_at);
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        epoll_ctl(udp->epoll, EPOLL_CTL_ADD, peer->fd, &event) < 0) {
        fail("%s: cannot make a UDP socket: %s", udp->target->name, strerror(errno));
    }
    if (setsockopt(peer->fd, SOL_UDP, UDP_SEGMENT, &size, sizeof size) < 0) {
        udp->run = 1; /* Linux before 4.18 */
    }
}

static void *udp_open(const struct target *target, const struct options *options) {
    struct udp *udp = allocate(1, sizeof *udp);
    if (options->size < (long)sizeof(uint64_t) || options->size > LARGEST) {
        fail("udp: --size must be from %zu to %d", sizeof(uint64_t), LARGEST);
    }
    memset(going, 'u', sizeof going);
    open_batch((size_t)options->size);
    udp->target = target;
    udp->count = (size_t)options->connections;
    udp->size = (size_t)options->size;
    udp->depth = (uint64_t)options->depth;
    udp->run = RUN / udp->size < MOST_SEGMENTS ? RUN / udp->size : MOST_SEGMENTS;
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
