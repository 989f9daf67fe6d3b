/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors, for the kernel's drivers: see poller.c.
 */
#ifndef LARIAT_POLLER_H
#define LARIAT_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct watch;

/* The functions of the driver's table. */
int poller_watch(struct watch *w, int events);
struct watch *poller_owner(int fd);
void poller_expose(int fd);
void poller_alarm(uint64_t due);

/* In a copy of the process, after uv_loop_fork: what the parent watches is not watched here, and
 * its set stays as it is. */
int poller_fork(void);

/* What the system calls know. `own`: an internet socket that nobody else knows of. */
int poller_made(int fd, bool own); /* 0 or -ENOMEM */
bool poller_owns(int fd);
void poller_closing(int fd);
void poller_blocked(int fd, int events); /* EAGAIN: it is not ready for these */
void poller_emptied(int fd, int events); /* it did less than was asked: presumably not ready */

#endif
