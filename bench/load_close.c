/* SPDX-License-Identifier: MIT
 *
 * The close case: keeps CONNECTIONS attempts to connect under way; the server accepts and closes,
 * the client sees the end and tries anew. A message is one such short life.
 *
 * The server closes first, so the wait for stray segments (TIME_WAIT) is on its side, and the
 * client's ports are free again at once. Not a byte is exchanged: what is measured is accepting.
 */

#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

struct attempt {
    int fd;
    uint64_t begun_ns;
};

struct closing {
    const struct target *target;
    int epoll;
    size_t count;
    uint64_t in_flight;
    uint64_t stop_ns;
    struct attempt *attempts;
    struct slice *slice;
    struct histogram *latency;
};

static void begin(struct closing *closing, struct attempt *attempt, uint64_t now) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = attempt};
    attempt->fd = net_begin_connect(closing->target);
    attempt->begun_ns = now;
    if (epoll_ctl(closing->epoll, EPOLL_CTL_ADD, attempt->fd, &event) < 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
    closing->in_flight++;
}

/* The end of the stream, or EAGAIN for an event that said less than that. */
static uint64_t serve_event(struct closing *closing, struct attempt *attempt) {
    char byte;
    ssize_t count = recv(attempt->fd, &byte, 1, 0);
    uint64_t now = now_ns();
    if (count < 0 && errno == EAGAIN) return now;
    if (count < 0) fail("%s: recv: %s", closing->target->name, strerror(errno));
    if (count > 0) fail("%s: sent something before it closed", closing->target->name);
    close(attempt->fd);
    closing->in_flight--;
    closing->slice->messages++;
    if (now >= closing->stop_ns) return now;
    closing->slice->answered++;
    histogram_add(closing->latency, now - attempt->begun_ns);
    begin(closing, attempt, now);
    return now;
}

static void close_run(void *state, uint64_t window_ns, struct slice *slice,
                      struct histogram *latency) {
    struct closing *closing = state;
    struct epoll_event events[EVENTS];
    uint64_t start = now_ns();
    uint64_t now = start;
    uint64_t give_up = start + window_ns + (uint64_t)PATIENCE_MS * 1000000;
    closing->slice = slice;
    closing->latency = latency;
    closing->stop_ns = start + window_ns;
    for (size_t i = 0; i < closing->count; i++) begin(closing, &closing->attempts[i], now);
    while (closing->in_flight > 0) {
        int count = epoll_wait(closing->epoll, events, EVENTS, PATIENCE_MS);
        if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) now = serve_event(closing, events[i].data.ptr);
        if (count <= 0) now = now_ns();
        if (closing->in_flight > 0 && now > give_up) {
            fail("%s: %llu connections were not closed within %d ms", closing->target->name,
                 (unsigned long long)closing->in_flight, PATIENCE_MS);
        }
    }
    slice->window_ns = window_ns;
    slice->elapsed_ns = now - start;
}

static void *close_open(const struct target *target, const struct options *options) {
    struct closing *closing = allocate(1, sizeof *closing);
    closing->target = target;
    closing->count = (size_t)options->connections;
    closing->attempts = allocate(closing->count, sizeof *closing->attempts);
    closing->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (closing->epoll < 0) fail("epoll_create1: %s", strerror(errno));
    return closing;
}

static void close_close(void *state) {
    struct closing *closing = state;
    close(closing->epoll);
    free(closing->attempts);
    free(closing);
}

const struct load_case load_case_close = {
    .name = "close",
    .summary = "connects, and the server closes",
    .open = close_open,
    .run = close_run,
    .close = close_close,
};
