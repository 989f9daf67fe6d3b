/* SPDX-License-Identifier: MIT
 *
 * A watch is one descriptor, the events that the driver has been asked to report for it, and the
 * queues of tasks that wait for these. A socket's first member is one; connect() to several
 * addresses, select() on foreign descriptors and the prompt make their own.
 *
 * Invariant: while a task waits for readiness in `readers`, POLLIN is armed, and in `writers`,
 * POLLOUT. One event wakes one task; the woken task tries its system call, and may find EAGAIN.
 */
#ifndef LARIAT_WATCH_H
#define LARIAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "task/task.h"

struct driver;

struct watch {
    const struct driver *driver;
    int fd;         /* -1: none */
    short armed;    /* POLLIN | POLLOUT as asked of the driver, as in struct pollfd */
    bool drained;   /* the last read emptied it: reading again is useless before the next event */
    bool is_socket; /* the first member of a struct socket: watch_hooks apply */
    struct waitq readers; /* tasks that wait for POLLIN */
    struct waitq writers; /* tasks that wait for POLLOUT */
};

/* A watch with nothing armed and no task waiting. */
void watch_init(struct watch *w, const struct driver *driver, int fd);

/* Arms these events in addition. 0; or -errno: nothing is armed then, and all tasks are woken. */
int watch_arm(struct watch *w, int events);

/* Disarms everything; wakes no task. Required before the descriptor is closed. */
void watch_stop(struct watch *w);

/* Tells the driver that foreign code will have the descriptor: required before it is handed out. */
void watch_expose(struct watch *w);

/* ---- called by drivers ---- */

/* These events are ready: wakes the first task that waits for each, or disarms what none waits for.
 * May flush the socket's output, and so close it. */
void watch_ready(struct watch *w, int events);

/* The driver reports nothing of it any more; `events` is what it reported until now. Wakes all
 * waiting tasks, which try again. */
void watch_lost(struct watch *w, int events);

/* What a socket itself does with readiness, set once by the floor above. `readable` is called if no
 * task waits to read, `writable` before the first task that waits to write is woken. True: keep the
 * direction armed. They must not raise or wait. */
extern struct watch_hooks {
    bool (*readable)(struct watch *w);
    bool (*writable)(struct watch *w);
} watch_hooks;

#endif
