/* SPDX-License-Identifier: MIT
 *
 * The state of the program that every floor may read: the Lua state, the event loop, the driver, the
 * clock, and whether the program is about to end. What a floor alone needs is in its own header.
 */
#ifndef LARIAT_STATE_H
#define LARIAT_STATE_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <uv.h>

#include "base/clock.h"

struct driver;
struct world;

struct runtime {
    lua_State *L; /* the main state: owns everything, runs no user code itself */
    uv_loop_t loop;
    const struct driver *driver;
    struct clock clock;
    uint64_t tick;             /* when this tick began: monotonic nanoseconds */
    const struct world *world; /* a simulated one, in which time is virtual; NULL: the real one */
    struct clock *outer_clock; /* the real world's, likewise */
    bool closing;              /* teardown has begun: nothing new may start */
    bool exiting;              /* os.exit was called, or the main script failed */
    bool exact;                /* the state does the same in every process: see exact.c */
    int status;                /* exit status so far */
    size_t lookups;            /* name lookups in flight */
    struct rlimit limits;      /* of descriptors, found at the start: children get them back */
    bool status_chosen;        /* by os.exit: errors that nobody joined do not change it */
    bool interactive; /* there is a prompt: errors told there do not decide the exit status */
    lua_State *volatile running;       /* innermost running coroutine: set by hook_running() */
    volatile sig_atomic_t hooked;      /* see hook.h: tell it when another one runs */
    volatile sig_atomic_t interrupted; /* signal number of a SIGINT, SIGTERM, SIGPIPE to die by */
    volatile sig_atomic_t writing; /* a write that answers EPIPE itself: its SIGPIPE says no more */
};

extern struct runtime rt;

void state_exit(int status); /* ask the loop to end; tasks are unwound by runtime_close */

/* Tells this tick from others, nearly always. */
static inline unsigned char state_tick_stamp(void) {
    return (unsigned char)(rt.tick >> 10);
}

#endif
