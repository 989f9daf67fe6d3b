/* SPDX-License-Identifier: MIT
 *
 * The kernel as a driver: plain non-blocking system calls, libuv for readiness, the alarm and names.
 *
 * One uv_poll_t for each descriptor number, made at the number's first wait and kept until exit
 * (closing and making one per connection costs 7 % of a connection). A number has one owner at a
 * time: the watch that armed it last and has not been stopped.
 */
#include "driver.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "resolve.h"
#include "runtime.h"
#include "segment.h"
#include "watch.h"

#define CALLBACKS_PER_TURN 256 /* then the ready tasks run, even within one poll */

/* ---- system calls ---- */

#define RESULT(call) ((call) < 0 ? -errno : 0)

static void evict(int fd);

static int kernel_socket(int family, int type, int protocol) {
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    evict(fd);
    return fd < 0 ? -errno : fd;
}

static int kernel_close(int fd) {
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
    evict(client);
    return client < 0 ? -errno : client;
}

static int kernel_connect(int fd, const struct sockaddr *address, socklen_t length) {
    int err;
    do {
        err = connect(fd, address, length);
    } while (err < 0 && errno == EINTR);
    return err < 0 ? -errno : 0;
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

/* MSG_DONTWAIT throughout: a descriptor given by setfd may be a blocking one. */
static ssize_t kernel_recv(int fd, void *data, size_t size) {
    ssize_t n;
    do {
        n = recv(fd, data, size, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* One part to a connected peer, the usual case, goes by the cheaper send. */
static ssize_t kernel_sendmsg(int fd, const struct msghdr *message) {
    const struct iovec *part = message->msg_iov;
    bool plain = message->msg_iovlen == 1 && message->msg_name == NULL;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    ssize_t n;
    do {
        n = plain ? send(fd, part->iov_base, part->iov_len, flags) : sendmsg(fd, message, flags);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int kernel_recvmmsg(int fd, struct mmsghdr *messages, unsigned count) {
    int n;
    do {
        n = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- readiness ---- */

struct entry {
    uv_poll_t handle;
    struct watch *owner; /* NULL: nobody watches this number */
};

struct request;

static struct {
    struct entry **entries; /* by descriptor number */
    size_t size;
    uv_timer_t timer;
    int callbacks;            /* since ready tasks ran last */
    struct request *requests; /* name lookups in flight */
} kernel;

/* A status below 0 means that libuv has stopped the handle: wake both directions, and the attempt's
 * own system call names the error. */
static void on_poll(uv_poll_t *handle, int status, int events) {
    struct watch *w = ((struct entry *)handle)->owner;
    if (w == NULL) {
        return;
    }
    int ready = (events & UV_READABLE ? POLLIN : 0) | (events & UV_WRITABLE ? POLLOUT : 0);
    if (status < 0) {
        w->armed = 0;
        ((struct entry *)handle)->owner = NULL;
        ready = POLLIN | POLLOUT;
    }
    watch_ready(w, ready);
    if (++kernel.callbacks >= CALLBACKS_PER_TURN) {
        kernel.callbacks = 0;
        runtime_tick();
    }
}

static struct entry *entry_for(int fd, int *err) {
    size_t index = (size_t)fd;
    if (index >= kernel.size) {
        size_t size = kernel.size ? kernel.size : 64;
        while (size <= index) {
            size *= 2;
        }
        kernel.entries = runtime_realloc(kernel.entries, size * sizeof(*kernel.entries));
        memset(kernel.entries + kernel.size, 0, (size - kernel.size) * sizeof(*kernel.entries));
        kernel.size = size;
    }
    if (kernel.entries[index] == NULL) {
        struct entry *entry = runtime_alloc(sizeof(*entry));
        entry->owner = NULL;
        *err = uv_poll_init(&rt.loop, &entry->handle, fd);
        if (*err < 0) {
            runtime_free(entry);
            return NULL;
        }
        kernel.entries[index] = entry;
    }
    return kernel.entries[index];
}

static int kernel_watch(struct watch *w, int events) {
    int err = 0;
    if (w->fd < 0) {
        return -EBADF;
    }
    struct entry *entry = entry_for(w->fd, &err);
    if (entry == NULL) {
        return err;
    }
    if (events == 0) {
        if (entry->owner == w) {
            uv_poll_stop(&entry->handle);
            entry->owner = NULL;
        }
        return 0;
    }
    if (entry->owner != NULL && entry->owner != w) {
        if (w->flush == NULL || entry->owner->flush != NULL) {
            return -EEXIST;
        }
        evict(w->fd); /* a select found the number by another object's getfd: it joins us */
    }
    entry->owner = w;
    int wanted = (events & POLLIN ? UV_READABLE : 0) | (events & POLLOUT ? UV_WRITABLE : 0);
    return uv_poll_start(&entry->handle, wanted, on_poll);
}

static struct watch *kernel_owner(int fd) {
    bool known = fd >= 0 && (size_t)fd < kernel.size && kernel.entries[fd] != NULL;
    return known ? kernel.entries[fd]->owner : NULL;
}

/* Who still watches the number of a new descriptor had a foreign one, closed under it: tell it. */
static void evict(int fd) {
    struct watch *stale = kernel_owner(fd);
    if (stale != NULL) {
        uv_poll_stop(&kernel.entries[fd]->handle);
        kernel.entries[fd]->owner = NULL;
        stale->armed = 0;
        watch_ready(stale, POLLIN | POLLOUT);
    }
}

static int kernel_poll(struct pollfd *set, nfds_t count) {
    int n;
    do {
        n = poll(set, count, 0);
    } while (n < 0 && errno == EINTR);
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

/* libuv before 1.45 runs timers before it polls, and would then block over a ready task. */
static void on_timer(uv_timer_t *timer) {
    (void)timer;
    clock_fire();
    if (rt.tasks.ready_first != NULL) {
        uv_stop(&rt.loop);
    }
}

static void kernel_alarm(uint64_t due) {
    if (due == NEVER) {
        uv_timer_stop(&kernel.timer);
        return;
    }
    uint64_t now = kernel_monotonic();
    uint64_t ms = due > now ? (due - now) / 1000000 + 1 : 0;
    uv_update_time(&rt.loop);
    uv_timer_start(&kernel.timer, on_timer, ms, 0);
}

/* ---- names ---- */

struct request {
    union {
        uv_getaddrinfo_t forward;
        uv_getnameinfo_t reverse;
    } uv;
    struct lookup *lookup;
    struct request *prev, *next; /* of those in flight */
};

static void complete(struct request *request, int status) {
    struct lookup *lookup = request->lookup;
    *(request->prev ? &request->prev->next : &kernel.requests) = request->next;
    if (request->next != NULL) {
        request->next->prev = request->prev;
    }
    lookup->err = status;
    runtime_free(request);
    rt.lookups--;
    lookup_done(lookup);
}

static void on_forward(uv_getaddrinfo_t *uv, int status, struct addrinfo *result) {
    struct request *request = (struct request *)uv;
    request->lookup->result = result;
    complete(request, status);
}

static void on_reverse(uv_getnameinfo_t *uv, int status, const char *host, const char *service) {
    struct request *request = (struct request *)uv;
    if (status == 0) {
        strncpy(request->lookup->host, host, sizeof(request->lookup->host) - 1);
        strncpy(request->lookup->service, service, sizeof(request->lookup->service) - 1);
    }
    complete(request, status);
}

static int kernel_lookup(struct lookup *lookup) {
    const char *host = *lookup->host ? lookup->host : NULL;
    const char *service = *lookup->service ? lookup->service : NULL;
    if (!lookup->reverse && service == NULL) {
        struct addrinfo numeric = lookup->hints;
        numeric.ai_flags = AI_NUMERICHOST; /* nothing to ask anybody */
        if (getaddrinfo(lookup->host, NULL, &numeric, &lookup->result) == 0) {
            lookup->done = true;
            return 0;
        }
        lookup->result = NULL;
    }
    struct request *request = runtime_alloc(sizeof(*request));
    request->lookup = lookup;
    int err = lookup->reverse ? uv_getnameinfo(&rt.loop, &request->uv.reverse, on_reverse,
                                               (struct sockaddr *)&lookup->address, lookup->flags)
                              : uv_getaddrinfo(&rt.loop, &request->uv.forward, on_forward, host,
                                               service, &lookup->hints);
    if (err < 0) {
        runtime_free(request);
        return err;
    }
    request->prev = NULL;
    request->next = kernel.requests;
    if (request->next != NULL) {
        request->next->prev = request;
    }
    kernel.requests = request;
    rt.lookups++;
    return 0;
}

/* ---- open and close ---- */

void driver_kernel_open(void) {
    uv_timer_init(&rt.loop, &kernel.timer);
}

/* The loop has been closed: its handles' memory may go. */
void driver_kernel_close(void) {
    for (size_t i = 0; i < kernel.size; i++) {
        runtime_free(kernel.entries[i]);
    }
    runtime_free(kernel.entries);
    kernel.entries = NULL;
    kernel.size = 0;
}

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
    .sendmmsg = segment_send,
    .poll = kernel_poll,
    .watch = kernel_watch,
    .owner = kernel_owner,
    .monotonic = kernel_monotonic,
    .wall = kernel_wall,
    .alarm = kernel_alarm,
    .lookup = kernel_lookup,
};
