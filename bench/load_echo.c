/* SPDX-License-Identifier: MIT
 *
 * The echo case: every connection keeps `depth` messages of `size` bytes in flight and expects the
 * same bytes back. An answered message is replaced by the next one until the window ends.
 *
 * Invariant: a connection's bytes are one endless stream, cut anywhere from a pattern that repeats
 * after a prime number of bytes, and each connection starts elsewhere in it. What comes back is
 * compared with the pattern at the receiver's own position, so bytes that are lost, doubled, out
 * of order or another connection's do not pass. Comparing is a memcmp that stays in the cache.
 *
 * The client must not be the bottleneck: one edge-triggered epoll set for each server, one recv and
 * one send for each event, one clock reading for both, nothing allocated. Answers that arrive
 * together are replaced together, so a deep pipeline is also cheap.
 */

#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The pattern is longer than its period by the largest piece sent or compared in one call. */
enum { PERIOD = 4093, PIECE = 65536, EVENTS = 256 };

struct connection {
    int fd;
    uint64_t start;     /* where in the pattern this connection begins */
    uint64_t sent;      /* bytes given to the kernel */
    uint64_t queued;    /* bytes that are to be sent, these included */
    uint64_t received;  /* bytes echoed and found right */
    uint64_t answered;  /* whole messages echoed */
    uint64_t *asked_at; /* when each message in flight was queued: a ring of `depth` */
};

struct echo {
    const struct target *target;
    int epoll;
    int spin;
    size_t count;
    uint64_t size;
    uint64_t depth;
    uint64_t in_flight; /* messages, over all connections */
    uint64_t stop_ns;   /* the window's end: nothing new is sent from here on */
    struct connection *connections;
    struct slice *slice;
    struct histogram *latency;
};

static unsigned char pattern[PERIOD + PIECE];
static unsigned char received_bytes[PIECE];

static void make_pattern(void) {
    uint32_t random = 2463534242u;
    for (size_t i = 0; i < sizeof pattern; i++) {
        random ^= random << 13; /* Marsaglia's xorshift */
        random ^= random >> 17;
        random ^= random << 5;
        pattern[i] = i < PERIOD ? (unsigned char)random : pattern[i - PERIOD];
    }
}

static const unsigned char *pattern_at(const struct connection *connection, uint64_t offset) {
    return pattern + (connection->start + offset) % PERIOD;
}

static void send_queued(const struct echo *echo, struct connection *connection) {
    while (connection->sent < connection->queued) {
        uint64_t length = connection->queued - connection->sent;
        if (length > PIECE) length = PIECE;
        const void *bytes = pattern_at(connection, connection->sent);
        ssize_t sent = send(connection->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return; /* EPOLLOUT brings us back */
        if (sent < 0) fail("%s: send: %s", echo->target->name, strerror(errno));
        connection->sent += (uint64_t)sent;
    }
}

static void ask(struct echo *echo, struct connection *connection, uint64_t count, uint64_t now) {
    uint64_t next = connection->queued / echo->size;
    for (uint64_t i = 0; i < count; i++) {
        connection->asked_at[(next + i) % echo->depth] = now;
    }
    connection->queued += count * echo->size;
    echo->in_flight += count;
    send_queued(echo, connection);
}

static void check_bytes(const struct echo *echo, struct connection *connection, size_t count) {
    if (connection->received + count > connection->sent) {
        fail("%s: echoed more bytes than it was sent", echo->target->name);
    }
    if (memcmp(received_bytes, pattern_at(connection, connection->received), count) != 0) {
        fail("%s: echoed wrong bytes on connection %td near byte %llu", echo->target->name,
             connection - echo->connections, (unsigned long long)connection->received);
    }
    connection->received += count;
}

/* Takes note of the messages now complete and returns how many there are. */
static uint64_t take_answers(struct echo *echo, struct connection *connection, uint64_t now) {
    uint64_t complete = connection->received / echo->size - connection->answered;
    echo->slice->messages += complete;
    if (now < echo->stop_ns) {
        echo->slice->answered += complete;
        for (uint64_t i = 0; i < complete; i++) {
            uint64_t asked = connection->asked_at[(connection->answered + i) % echo->depth];
            histogram_add(echo->latency, now - asked);
        }
    }
    connection->answered += complete;
    echo->in_flight -= complete;
    return complete;
}

/* Edge-triggered: reads until a read comes back short, which is usually the first one. Returns the
 * time, so that the caller need not ask again. */
static uint64_t serve_event(struct echo *echo, struct connection *connection) {
    ssize_t count;
    uint64_t now;
    do {
        count = recv(connection->fd, received_bytes, PIECE, 0);
        now = now_ns();
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) fail("%s: recv: %s", echo->target->name, strerror(errno));
        if (count == 0) fail("%s: closed a connection that was in use", echo->target->name);
        check_bytes(echo, connection, (size_t)count);
        uint64_t complete = take_answers(echo, connection, now);
        if (complete > 0 && now < echo->stop_ns) ask(echo, connection, complete, now);
    } while (count == PIECE);
    send_queued(echo, connection);
    return now;
}

/* Serves one batch of events and returns when it was done. */
static uint64_t serve_batch(struct echo *echo) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(echo->epoll, events, EVENTS, echo->spin ? 0 : PATIENCE_MS);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (count <= 0) return now_ns();
    uint64_t now = 0;
    for (int i = 0; i < count; i++) now = serve_event(echo, events[i].data.ptr);
    return now;
}

static void echo_run(void *state, uint64_t window_ns, struct slice *slice,
                     struct histogram *latency) {
    struct echo *echo = state;
    uint64_t start = now_ns();
    uint64_t now = start;
    uint64_t give_up = start + window_ns + (uint64_t)PATIENCE_MS * 1000000;
    echo->slice = slice;
    echo->latency = latency;
    echo->stop_ns = start + window_ns;
    for (size_t i = 0; i < echo->count && now < echo->stop_ns; i++) {
        ask(echo, &echo->connections[i], echo->depth, now);
        now = now_ns();
    }
    while (echo->in_flight > 0) {
        now = serve_batch(echo);
        if (echo->in_flight > 0 && now > give_up) {
            fail("%s: did not answer %llu messages within %d ms", echo->target->name,
                 (unsigned long long)echo->in_flight, PATIENCE_MS);
        }
    }
    slice->window_ns = window_ns;
    slice->elapsed_ns = now - start;
}

static void open_connection(struct echo *echo, struct connection *connection, size_t index,
                            uint64_t deadline_ns) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    connection->fd = net_connect(echo->target, deadline_ns);
    connection->start = index * 977 % PERIOD;
    connection->asked_at = allocate(echo->depth, sizeof *connection->asked_at);
    if (epoll_ctl(echo->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
}

static void *echo_open(const struct target *target, const struct options *options) {
    struct echo *echo = allocate(1, sizeof *echo);
    uint64_t deadline_ns = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
    make_pattern();
    echo->target = target;
    echo->spin = options->spin;
    echo->count = (size_t)options->connections;
    echo->size = (uint64_t)options->size;
    echo->depth = (uint64_t)options->depth;
    echo->connections = allocate(echo->count, sizeof *echo->connections);
    echo->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (echo->epoll < 0) fail("epoll_create1: %s", strerror(errno));
    for (size_t i = 0; i < echo->count; i++) {
        open_connection(echo, &echo->connections[i], i, deadline_ns);
    }
    return echo;
}

static void echo_close(void *state) {
    struct echo *echo = state;
    for (size_t i = 0; i < echo->count; i++) {
        close(echo->connections[i].fd);
        free(echo->connections[i].asked_at);
    }
    close(echo->epoll);
    free(echo->connections);
    free(echo);
}

const struct load_case load_case_echo = {
    .name = "echo",
    .summary = "each connection keeps DEPTH messages of SIZE bytes in flight",
    .open = echo_open,
    .run = echo_run,
    .close = echo_close,
};
