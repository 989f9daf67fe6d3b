/* SPDX-License-Identifier: MIT
 *
 * driver_kernel: plain non-blocking system calls. Names are looked up by lookup.c. Readiness and
 * the alarm are poller.c's; the calls here tell it what they find out: a descriptor was created or
 * is about to be closed, or it was not ready (EAGAIN).
 */
#include "kernel/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "kernel/gso.h"
#include "kernel/lookup.h"
#include "kernel/poller.h"
#include "kernel/splice.h"

/* ---- system calls ---- */

#define RESULT(call) ((call) < 0 ? -errno : 0)

/* -errno of a call that needs the descriptor to be ready for `events`. */
static int failed(int fd, int events) {
    int err = errno;
    if (err == EAGAIN || err == EINPROGRESS || err == EALREADY) {
        poller_blocked(fd, events);
    }
    return -err;
}

/* Registers a new descriptor with the poller; closes it if there is no memory for that. */
static int made(int fd, bool own) {
    int err = poller_made(fd, own);
    if (err < 0) {
        close(fd);
    }
    return err < 0 ? err : fd;
}

static int kernel_socket(int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        return -errno;
    }
    return made(fd, family == AF_INET || family == AF_INET6);
}

static int kernel_adopt(int fd) {
    int type, flags = fcntl(fd, F_GETFL);
    socklen_t size = sizeof(type);
    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
        return -errno; /* no socket, but a file, or a descriptor of the event loop */
    }
    return flags & O_NONBLOCK ? 0 : RESULT(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

static int kernel_close(int fd) {
    poller_closing(fd);
    return RESULT(close(fd));
}

static int kernel_bind(int fd, const struct sockaddr *address, socklen_t length) {
    return RESULT(bind(fd, address, length));
}

static int kernel_listen(int fd, int backlog) {
    return RESULT(listen(fd, backlog));
}

static int kernel_accept(int fd, struct sockaddr_storage *peer, socklen_t *length) {
    int client;
    do {
        client = accept4(fd, (struct sockaddr *)peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (client < 0 && errno == EINTR);
    if (client < 0) {
        return failed(fd, POLLIN);
    }
    return made(client, poller_owns(fd));
}

static int kernel_connect(int fd, const struct sockaddr *address, socklen_t length) {
    int err;
    do {
        err = connect(fd, address, length);
    } while (err < 0 && errno == EINTR);
    return err < 0 ? failed(fd, POLLOUT) : 0;
}

static int kernel_shutdown(int fd, int how) {
    return RESULT(shutdown(fd, how));
}

static int kernel_getsockname(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return RESULT(getsockname(fd, (struct sockaddr *)address, length));
}

static int kernel_getpeername(int fd, struct sockaddr_storage *address, socklen_t *length) {
    return RESULT(getpeername(fd, (struct sockaddr *)address, length));
}

static int kernel_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
    return RESULT(getsockopt(fd, level, name, value, length));
}

static int kernel_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    return RESULT(setsockopt(fd, level, name, value, length));
}

/* MSG_DONTWAIT throughout: foreign code that has the descriptor may clear O_NONBLOCK. */
static ssize_t kernel_recv(int fd, void *data, size_t size) {
    ssize_t n;
    do {
        n = recv(fd, data, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return failed(fd, POLLIN);
    }
    if ((size_t)n < size) {
        poller_emptied(fd, POLLIN);
    }
    return n;
}

/* One part to a connected peer, the usual case, uses send(), which is cheaper. */
static ssize_t kernel_sendmsg(int fd, const struct msghdr *message) {
    const struct iovec *part = message->msg_iov;
    bool plain = message->msg_iovlen == 1 && message->msg_name == NULL;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    ssize_t n;
    do {
        n = plain ? send(fd, part->iov_base, part->iov_len, flags) : sendmsg(fd, message, flags);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? failed(fd, POLLOUT) : n;
}

static int kernel_recvmmsg(int fd, struct mmsghdr *messages, unsigned count) {
    int n;
    do {
        n = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return failed(fd, POLLIN);
    }
    if ((unsigned)n < count) {
        poller_emptied(fd, POLLIN);
    }
    return n;
}

static int kernel_sendmmsg(int fd, struct mmsghdr *messages, unsigned count) {
    int n = gso_send(fd, messages, count);
    if (n == -EAGAIN) {
        poller_blocked(fd, POLLOUT);
    }
    return n;
}

static int kernel_poll(struct pollfd *set, nfds_t count) {
    int n;
    do {
        n = poll(set, count, 0);
    } while (n < 0 && errno == EINTR);
    for (nfds_t i = 0; n >= 0 && i < count; i++) {
        bool broken = set[i].revents & (POLLERR | POLLHUP); /* no call returns EAGAIN then */
        poller_blocked(set[i].fd, broken ? 0 : set[i].events & ~set[i].revents);
    }
    return n < 0 ? -errno : n;
}

/* ---- time ---- */

static uint64_t kernel_monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double kernel_wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const struct time_source time_kernel = {
    .monotonic = kernel_monotonic,
    .wall = kernel_wall,
    .alarm = poller_alarm,
};

const struct driver driver_kernel = {
    .socket = kernel_socket,
    .close = kernel_close,
    .bind = kernel_bind,
    .listen = kernel_listen,
    .accept = kernel_accept,
    .connect = kernel_connect,
    .shutdown = kernel_shutdown,
    .getsockname = kernel_getsockname,
    .getpeername = kernel_getpeername,
    .getsockopt = kernel_getsockopt,
    .setsockopt = kernel_setsockopt,
    .recv = kernel_recv,
    .sendmsg = kernel_sendmsg,
    .recvmmsg = kernel_recvmmsg,
    .sendmmsg = kernel_sendmmsg,
    .poll = kernel_poll,
    .watch = poller_watch,
    .watch_of = poller_watch_of,
    .lookup = kernel_lookup,
    .forget_lookup = kernel_forget_lookup,
    .adopt = kernel_adopt,
    .expose = poller_expose,
    .forward = splice_forward,
};
