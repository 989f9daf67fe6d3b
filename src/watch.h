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

/* Set once by whatever buffers output: called when the descriptor of a socket is writable, before
 * the first waiting writer is woken. True: there is more to write, so watch on. */
extern bool (*watch_on_writable)(struct watch *w);

#endif
