/* SPDX-License-Identifier: MIT
 *
 * From readiness to waiting tasks. Invariants: an event for which no task waits disarms its
 * direction, so level-triggered readiness never spins; the next wait arms it again. Between two
 * receives of a busy loop nothing is disarmed, and so no system call is made. No task waits for a
 * descriptor that the driver does not watch: if the driver fails, the waiting tasks are woken, try
 * again, and get the error.
 */
#include "kernel/watch.h"

#include <poll.h>
#include <stddef.h>

#include "kernel/driver.h"

struct watch_hooks watch_hooks;

void watch_init(struct watch *w, const struct driver *driver, int fd) {
    *w = (struct watch){.driver = driver, .fd = fd};
}

/* All waiting tasks try again, and so does pending output, if POLLOUT was armed for it. */
__attribute__((noinline)) void watch_lost(struct watch *w, int events) {
    w->armed = 0;
    w->drained = false;
    waitq_wake_all(&w->readers, WAKE_READY);
    waitq_wake_all(&w->writers, WAKE_READY);
    if (w->is_socket && (events & POLLOUT)) {
        watch_hooks.writable(w);
    }
}

static int set_armed(struct watch *w, int events) {
    if (w->armed == events) {
        return 0;
    }
    int err = w->driver->watch(w, events);
    if (err >= 0) {
        w->armed = (short)events;
    } else if (w->armed != 0) {
        watch_lost(w, w->armed);
    }
    return err;
}

int watch_arm(struct watch *w, int events) {
    return set_armed(w, w->armed | events);
}

void watch_stop(struct watch *w) {
    if (w->fd >= 0 && w->armed != 0) {
        w->armed = 0;
        w->driver->watch(w, 0);
    }
}

void watch_expose(struct watch *w) {
    if (w->fd >= 0 && w->driver->expose != NULL) {
        w->driver->expose(w->fd);
    }
}

void watch_ready(struct watch *w, int events) {
    int spent = 0;
    if (events & POLLIN) {
        w->drained = false;
        if (!waitq_wake_first(&w->readers, WAKE_READY) &&
            !(w->is_socket && watch_hooks.readable(w))) {
            spent |= POLLIN;
        }
    }
    if (events & POLLOUT) {
        bool more = w->is_socket && watch_hooks.writable(w);
        if (!waitq_wake_first(&w->writers, WAKE_READY) && !more) {
            spent |= POLLOUT;
        }
    }
    if (w->fd >= 0 && (w->armed & spent)) {
        set_armed(w, w->armed & ~spent);
    }
}
