/* SPDX-License-Identifier: MIT
 *
 * The program's state that every floor may read: the Lua state, the event loop, the driver, the
 * clock, and whether the program is about to end. State that only one floor needs is in that
 * floor's header.
 *
 * There is one runtime per process. Only its main thread uses it; members that signal handlers
 * access are volatile.
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
    lua_State *L; /* the main coroutine: anchors everything, runs no code of the script itself */
    uv_loop_t loop;
    const struct driver *driver; /* of new sockets: the kernel's, or a simulation's */
    struct clock clock;          /* virtual while a simulation runs */
    uint64_t tick;               /* when this tick began: monotonic nanoseconds */
    const struct world *world;   /* the simulation that runs; NULL: none, the real world */
    struct clock *outer_clock;   /* the real clock, while a simulation runs; else NULL */
    bool closing;                /* teardown has begun: nothing new may start */
    bool exiting;                /* os.exit was called, or the main script failed */
    bool exact;     /* hashes and addresses are the same in every process: a simulation repeats */
    int status;     /* exit status so far */
    size_t lookups; /* name lookups in flight */
    struct rlimit limits; /* RLIMIT_NOFILE as found at the start: child processes get it back */
    bool status_chosen;   /* os.exit gave `status`: errors that nobody joined do not change it */
    bool interactive;     /* there is a prompt: errors that nobody joined do not set `status` */
    lua_State *volatile running;  /* the coroutine that runs; NULL: none. Set by hook_running() */
    volatile sig_atomic_t hooked; /* hook_running() must tell the hook when another one runs */
    volatile sig_atomic_t
        interrupted; /* the signal (SIGINT, SIGTERM, SIGPIPE) to end by; 0: none */
    volatile sig_atomic_t
        writing; /* a write that reports EPIPE is under way: its SIGPIPE is ignored */
};

extern struct runtime rt;

/* Asks the loop to end with this exit status; returns, and teardown then unwinds the tasks. A
 * second request has no effect; during teardown a request only sets the status. */
void state_exit(int status);

/* A number for the current tick: two ticks nearly always differ in it. */
static inline unsigned char state_tick_stamp(void) {
    return (unsigned char)(rt.tick >> 10);
}

#endif
