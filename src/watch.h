/* SPDX-License-Identifier: MIT
 *
 * A watch is one descriptor, what the driver has been asked to report about it, and who waits for
 * that. Sockets embed one; connect racing and select over foreign descriptors make their own.
 */
#ifndef LARIAT_WATCH_H
#define LARIAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "task.h"

struct driver;

struct watch {
    const struct driver *driver;
    int fd;         /* -1: none */
    short armed;    /* POLLIN | POLLOUT as asked of the driver, as in struct pollfd */
    bool drained;   /* the last read took all there was: no need to ask before an event */
    bool is_socket; /* the first member of one, whose output goes first when it is writable */
    struct waitq readers;
    struct waitq writers;
};

void watch_init(struct watch *w, const struct driver *driver, int fd);
int watch_arm(struct watch *w, int events);    /* adds to what is armed; 0, or -errno: nothing is */
void watch_lost(struct watch *w, int events);  /* these were reported, and nothing is any more */
void watch_stop(struct watch *w);              /* before the descriptor goes */
void watch_expose(struct watch *w);            /* before others learn of the descriptor */
void watch_ready(struct watch *w, int events); /* called by the driver */

/* What sockets do with readiness by themselves, set once by the floor above. `readable` is called if no
 * reader waits, `writable` before the first writer is woken. True: there may be more, so watch on. */
extern struct watch_hooks {
    bool (*readable)(struct watch *w);
    bool (*writable)(struct watch *w);
} watch_hooks;

#endif
