/* SPDX-License-Identifier: MIT
 *
 * The engine of the cases in which a client asks and a server answers over TCP: every connection
 * keeps `depth` questions in flight, and an answered one is replaced by the next until the window
 * ends. What is asked and what must be answered is the case's: see load_echo.c.
 *
 * Invariant: the questions of a connection are one endless stream that repeats after `period`
 * bytes, and so are the right answers; each connection starts elsewhere in them. What comes back
 * is compared with the answers at the receiver's own position, so bytes that are lost, doubled, out
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

enum { EVENTS = 256 };

struct connection {
    int fd;
    uint64_t question_start, answer_start; /* where in the streams this connection begins */
    uint64_t sent;                         /* bytes given to the kernel */
    uint64_t queued;                       /* bytes that are to be sent, these included */
    uint64_t received;                     /* bytes answered and found right */
    uint64_t asked, answered;              /* whole messages */
    uint64_t *asked_at; /* when each message in flight was queued: a ring of `depth` */
};

struct talk {
    const struct target *target;
    int epoll;
    int spin;
    size_t count;
    struct stream question, answer;
    uint64_t depth;
    uint64_t in_flight; /* messages, over all connections */
    uint64_t stop_ns;   /* the window's end: nothing new is sent from here on */
    struct connection *connections;
    struct slice *slice;
    struct histogram *latency;
};

static unsigned char received_bytes[TALK_PIECE];

static const unsigned char *bytes_at(const struct stream *stream, uint64_t offset) {
    return stream->bytes + offset % stream->period;
}

static void send_queued(const struct talk *talk, struct connection *connection) {
    while (connection->sent < connection->queued) {
        uint64_t length = connection->queued - connection->sent;
        if (length > TALK_PIECE) length = TALK_PIECE;
        const void *bytes =
            bytes_at(&talk->question, connection->question_start + connection->sent);
        ssize_t sent = send(connection->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return; /* EPOLLOUT brings us back */
        if (sent < 0) fail("%s: send: %s", talk->target->name, strerror(errno));
        connection->sent += (uint64_t)sent;
    }
}

static void ask(struct talk *talk, struct connection *connection, uint64_t count, uint64_t now) {
    for (uint64_t i = 0; i < count; i++) {
        connection->asked_at[connection->asked++ % talk->depth] = now;
    }
    connection->queued += count * talk->question.size;
    talk->in_flight += count;
    send_queued(talk, connection);
}

static void check_bytes(const struct talk *talk, struct connection *connection, size_t count) {
    const void *right = bytes_at(&talk->answer, connection->answer_start + connection->received);
    if (connection->received + count > connection->asked * talk->answer.size) {
        fail("%s: answered more bytes than it was asked for", talk->target->name);
    }
    if (memcmp(received_bytes, right, count) != 0) {
        fail("%s: answered wrong bytes on connection %td near byte %llu", talk->target->name,
             connection - talk->connections, (unsigned long long)connection->received);
    }
    connection->received += count;
}

/* Takes note of the messages now complete and returns how many there are. */
static uint64_t take_answers(struct talk *talk, struct connection *connection, uint64_t now) {
    uint64_t complete = connection->received / talk->answer.size - connection->answered;
    talk->slice->messages += complete;
    if (now < talk->stop_ns) {
        talk->slice->answered += complete;
        for (uint64_t i = 0; i < complete; i++) {
            uint64_t asked = connection->asked_at[(connection->answered + i) % talk->depth];
            histogram_add(talk->latency, now - asked);
        }
    }
    connection->answered += complete;
    talk->in_flight -= complete;
    return complete;
}

/* Edge-triggered: reads until a read comes back short, which is usually the first one. Returns the
 * time, so that the caller need not ask again. */
static uint64_t serve_event(struct talk *talk, struct connection *connection) {
    ssize_t count;
    uint64_t now;
    do {
        count = recv(connection->fd, received_bytes, TALK_PIECE, 0);
        now = now_ns();
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) fail("%s: recv: %s", talk->target->name, strerror(errno));
        if (count == 0) fail("%s: closed a connection that was in use", talk->target->name);
        check_bytes(talk, connection, (size_t)count);
        uint64_t complete = take_answers(talk, connection, now);
        if (complete > 0 && now < talk->stop_ns) ask(talk, connection, complete, now);
    } while (count == TALK_PIECE);
    send_queued(talk, connection);
    return now;
}

/* Serves one batch of events and returns when it was done. */
static uint64_t serve_batch(struct talk *talk) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(talk->epoll, events, EVENTS, talk->spin ? 0 : PATIENCE_MS);
    if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
    if (count <= 0) return now_ns();
    uint64_t now = 0;
    for (int i = 0; i < count; i++) now = serve_event(talk, events[i].data.ptr);
    return now;
}

void talk_run(void *state, uint64_t window_ns, struct slice *slice, struct histogram *latency) {
    struct talk *talk = state;
    uint64_t start = now_ns();
    uint64_t now = start;
    uint64_t give_up = start + window_ns + (uint64_t)PATIENCE_MS * 1000000;
    talk->slice = slice;
    talk->latency = latency;
    talk->stop_ns = start + window_ns;
    for (size_t i = 0; i < talk->count && now < talk->stop_ns; i++) {
        ask(talk, &talk->connections[i], talk->depth, now);
        now = now_ns();
    }
    while (talk->in_flight > 0) {
        now = serve_batch(talk);
        if (talk->in_flight > 0 && now > give_up) {
            fail("%s: did not answer %llu messages within %d ms", talk->target->name,
                 (unsigned long long)talk->in_flight, PATIENCE_MS);
        }
    }
    slice->window_ns = window_ns;
    slice->elapsed_ns = now - start;
}

static void open_connection(struct talk *talk, struct connection *connection, size_t index,
                            uint64_t deadline_ns) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    connection->fd = net_connect(talk->target, deadline_ns);
    connection->question_start = index * 977 * talk->question.size % talk->question.period;
    connection->answer_start = index * 977 * talk->answer.size % talk->answer.period;
    connection->asked_at = allocate(talk->depth, sizeof *connection->asked_at);
    if (epoll_ctl(talk->epoll, EPOLL_CTL_ADD, connection->fd, &event) < 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
}

void *talk_open(const struct target *target, const struct options *options,
                const struct stream *question, const struct stream *answer) {
    struct talk *talk = allocate(1, sizeof *talk);
    uint64_t thousands = 1 + (uint64_t)options->connections / 1000;
    uint64_t deadline_ns = now_ns() + thousands * PATIENCE_MS * 1000000;
    talk->target = target;
    talk->spin = options->spin;
    talk->count = (size_t)options->connections;
    talk->question = *question;
    talk->answer = *answer;
    talk->depth = (uint64_t)options->depth;
    talk->connections = allocate(talk->count, sizeof *talk->connections);
    talk->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (talk->epoll < 0) fail("epoll_create1: %s", strerror(errno));
    for (size_t i = 0; i < talk->count; i++) {
        open_connection(talk, &talk->connections[i], i, deadline_ns);
    }
    return talk;
}

void talk_close(void *state) {
    struct talk *talk = state;
    for (size_t i = 0; i < talk->count; i++) {
        close(talk->connections[i].fd);
        free(talk->connections[i].asked_at);
    }
    close(talk->epoll);
    free(talk->connections);
    free(talk);
}
