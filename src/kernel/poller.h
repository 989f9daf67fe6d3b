/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors, for the drivers of this folder. A watch is notified level-triggered, by
 * watch_ready() from within driver_kernel_turn(); an event is a hint, so the caller tries, and may
 * get EAGAIN. A number has at most one watch.
 *
 * A private socket is an internet socket that this process has made and whose descriptor no foreign
 * code has: for such sockets readiness is known without a system call, so every call on them must
 * be reported here.
 */
#ifndef LARIAT_POLLER_H
#define LARIAT_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct watch;

/* ---- members of driver_kernel and time_kernel ---- */

/* Watches w->fd for these events (POLLIN | POLLOUT) instead of those before; 0: no more. 0 or
 * -errno: then it is not watched. -EEXIST: another watch has the number. */
int poller_watch(struct watch *w, int events);

/* The watch that has this number, or NULL. */
struct watch *poller_watch_of(int fd);

/* The descriptor is not private any more. If that fails, its watch is told by watch_lost(). */
void poller_expose(int fd);

/* Calls clock_fire() once, at `due` (monotonic ns) or up to 1 ms later; replaces the time set
 * before. `due` is not NEVER. */
void poller_alarm(uint64_t due);

/* In the child after fork(), after uv_loop_fork: makes a new epoll set, in which nothing is
 * registered, and leaves the parent's as it is. 0 or -errno. */
int poller_fork(void);

/* ---- what the system calls have found out ---- */

int poller_made(int fd, bool own);       /* a new descriptor; `own`: private. 0 or -ENOMEM */
bool poller_owns(int fd);                /* whether it is private */
void poller_closing(int fd);             /* about to be closed: drops its watch as well */
void poller_blocked(int fd, int events); /* EAGAIN: not ready for these */
void poller_emptied(int fd, int events); /* less was transferred than asked: presumably not ready */

#endif
