/* SPDX-License-Identifier: MIT
 *
 * Drivers for pipes, terminals and files: what a stream needs (recv, sendmsg, poll, watch, close,
 * shutdown), and nothing for names, addresses or listening.
 *
 * Invariant: the flags of an open file description that other processes share are never changed. A
 * descriptor that epoll refuses (EPERM: a regular file) is always ready: a timer reports that once
 * a tick while a task waits, and the budget of tasks keeps the reader from starving others. Reading
 * files on threads was rejected: a read of a local file returns soon, and output would no longer be
 * in order with C's stdio.
 */
#include "kernel/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/watch.h"

#define STANDARD_STREAMS 3

/* ---- bytes ---- */

static ssize_t file_recv(int fd, void *data, size_t size) {
    ssize_t n;
    do {
        n = read(fd, data, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t file_sendmsg(int fd, const struct msghdr *message) {
    ssize_t n;
    rt.writing = 1;
    do {
        n = writev(fd, message->msg_iov, (int)message->msg_iovlen);
    } while (n < 0 && errno == EINTR);
    rt.writing = 0;
    return n < 0 ? -errno : n;
}

/* Flush stdio first, so that what print() has written comes before this. */
static ssize_t standard_sendmsg(int fd, const struct msghdr *message) {
    fflush(stdout);
    return file_sendmsg(fd, message);
}

static ssize_t socket_sendmsg(int fd, const struct msghdr *message) {
    fflush(stdout);
    return driver_kernel.sendmsg(fd, message);
}

static ssize_t socket_recv(int fd, void *data, size_t size) {
    return driver_kernel.recv(fd, data, size);
}

static bool ready_now(int fd, int events) {
    struct pollfd one = {.fd = fd, .events = (short)events};
    return driver_kernel.poll(&one, 1) > 0;
}

/* A terminal whose other side is closed fails with EIO: the end of the input. */
static ssize_t own_recv(int fd, void *data, size_t size) {
    ssize_t n = file_recv(fd, data, size);
    return n == -EIO ? 0 : n;
}

static ssize_t shared_recv(int fd, void *data, size_t size) {
    return ready_now(fd, POLLIN) ? own_recv(fd, data, size) : -EAGAIN;
}

/* A pipe that polls writable accepts PIPE_BUF bytes without blocking. */
static ssize_t shared_sendmsg(int fd, const struct msghdr *message) {
    fflush(stdout);
    if (!ready_now(fd, POLLOUT)) {
        return -EAGAIN;
    }
    struct iovec part = message->msg_iov[0];
    part.iov_len = part.iov_len < PIPE_BUF ? part.iov_len : PIPE_BUF;
    struct msghdr piece = {.msg_iov = &part, .msg_iovlen = 1};
    return file_sendmsg(fd, &piece);
}

/* ---- close and shutdown ---- */

static int file_close(int fd) {
    return close(fd) < 0 ? -errno : 0;
}

/* Replaces the descriptor (dup3) by the same end of a new pipe whose other end is closed: the peer
 * sees the end of the stream (or a closed reader), our calls see "closed", and the number stays
 * taken. Shutting down the direction that a pipe end does not have does nothing. */
static int pipe_shutdown(int fd, int how) {
    bool writes = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    int ends[2];
    if (how == (writes ? SHUT_RD : SHUT_WR)) {
        return 0;
    }
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
        return -errno;
    }
    struct watch *watch = driver_kernel.watch_of(fd);
    int armed = watch != NULL ? watch->armed : 0;
    if (armed) {
        watch_stop(watch); /* epoll would keep watching the old pipe, or nothing */
    }
    int err = dup3(ends[writes], fd, O_CLOEXEC) < 0 ? -errno : 0;
    close(ends[0]);
    close(ends[1]);
    if (armed && watch_arm(watch, armed) < 0) {
        watch_lost(watch, armed);
    }
    return err;
}

static int standard_shutdown(int fd, int how) {
    (void)fd, (void)how;
    return 0;
}

static int file_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
    (void)fd, (void)level, (void)name, (void)value, (void)length;
    return -ENOTSOCK;
}

/* ---- readiness: by the kernel's driver ---- */

static int file_poll(struct pollfd *set, nfds_t count) {
    return driver_kernel.poll(set, count);
}

static int file_watch(struct watch *w, int events) {
    return driver_kernel.watch(w, events);
}

static struct watch *file_watch_of(int fd) {
    return driver_kernel.watch_of(fd);
}

/* ---- readiness of what is always ready: reported by a timer ---- */

static struct watch *no_watch_of(int fd) {
    (void)fd;
    return NULL;
}

static void say_ready(struct timer *timer);

static struct {
    struct timer timer;
    struct watch *watches[STANDARD_STREAMS];
} always = {.timer = {.due = NEVER, .fire = say_ready}};

static void say_ready(struct timer *timer) {
    bool more = false;
    for (int i = 0; i < STANDARD_STREAMS; i++) {
        struct watch *w = always.watches[i];
        if (w != NULL) {
            watch_ready(w, w->armed);
        }
        more = more || always.watches[i] != NULL;
    }
    if (more) {
        timer_set(timer, clock_now());
    }
}

static int ready_watch(struct watch *w, int events) {
    int slot = 0;
    while (slot < STANDARD_STREAMS && always.watches[slot] != w) {
        slot++;
    }
    if (slot == STANDARD_STREAMS) {
        for (slot = 0; always.watches[slot] != NULL; slot++) {
            assert(slot + 1 < STANDARD_STREAMS);
        }
    }
    always.watches[slot] = events ? w : NULL;
    if (events) {
        timer_set(&always.timer, clock_now());
    }
    return 0;
}

/* ---- the drivers ---- */

const struct driver driver_pipe = {
    .close = file_close,
    .shutdown = pipe_shutdown,
    .getsockopt = file_getsockopt,
    .recv = file_recv,
    .sendmsg = file_sendmsg,
    .poll = file_poll,
    .watch = file_watch,
    .watch_of = file_watch_of,
};

const struct driver driver_standard_own = {
    .close = file_close,
    .shutdown = standard_shutdown,
    .getsockopt = file_getsockopt,
    .recv = own_recv,
    .sendmsg = standard_sendmsg,
    .poll = file_poll,
    .watch = file_watch,
    .watch_of = file_watch_of,
};

const struct driver driver_standard_shared = {
    .close = file_close,
    .shutdown = standard_shutdown,
    .getsockopt = file_getsockopt,
    .recv = shared_recv,
    .sendmsg = shared_sendmsg,
    .poll = file_poll,
    .watch = file_watch,
    .watch_of = file_watch_of,
};

const struct driver driver_standard_socket = {
    .close = file_close,
    .shutdown = standard_shutdown,
    .getsockopt = file_getsockopt,
    .recv = socket_recv,
    .sendmsg = socket_sendmsg,
    .poll = file_poll,
    .watch = file_watch,
    .watch_of = file_watch_of,
};

const struct driver driver_standard_ready = {
    .close = file_close,
    .shutdown = standard_shutdown,
    .getsockopt = file_getsockopt,
    .recv = file_recv,
    .sendmsg = standard_sendmsg,
    .poll = file_poll,
    .watch = ready_watch,
    .watch_of = no_watch_of,
};
