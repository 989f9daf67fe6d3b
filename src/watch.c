/* SPDX-License-Identifier: MIT
 *
 * Readiness to waiting tasks. Invariant: an event that finds nobody waiting disarms its direction,
 * so level-triggered readiness never spins; a wait arms it again. Between two receives of a busy
 * loop nothing is disarmed, and so no system call is made.
 */
#include "watch.h"

#include <poll.h>
#include <stddef.h>

#include "driver.h"
#include "runtime.h"
#include "socket.h"

void watch_init(struct watch *w, const struct driver *driver, int fd) {
    *w = (struct watch){.driver = driver, .fd = fd};
}

static int set_armed(struct watch *w, int events) {
    if (w->armed == events) {
        return 0;
    }
    int err = w->driver->watch(w, events);
    w->armed = (short)(err < 0 ? 0 : events);
    return err;
}

int watch_arm(struct watch *w, int events) {
    return set_armed(w, w->armed | events);
}

void watch_stop(struct watch *w) {
    if (w->fd >= 0) {
        set_armed(w, 0);
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
            !(w->is_socket && drain_input((struct socket *)w))) {
            spent |= POLLIN;
        }
    }
    if (events & POLLOUT) {
        bool more = w->is_socket && output_on_writable((struct socket *)w);
        if (!waitq_wake_first(&w->writers, WAKE_READY) && !more) {
            spent |= POLLOUT;
        }
    }
    if (w->fd >= 0 && (w->armed & spent)) {
        set_armed(w, w->armed & ~spent);
    }
}
