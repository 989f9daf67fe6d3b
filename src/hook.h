/* SPDX-License-Identifier: MIT
 *
 * Reaching the code that runs: a signal handler asks for a function to be called in the running
 * coroutine, before its next Lua instruction, whichever coroutine that is by then. Whoever makes
 * another coroutine run says so by hook_running().
 *
 * A hook runs in no finalizer, in no hook of the script's, and while a C function computes: what
 * must happen all the same is for interrupt.c to see to.
 */
#ifndef LARIAT_HOOK_H
#define LARIAT_HOOK_H

#include <lua.h>

#include "runtime.h"

void hook_open(void (*function)(lua_State *L)); /* which one */
void hook_want(void);      /* async-signal-safe: call it, once. May be asked for in itself */
void hook_want_next(void); /* the same, but not in the coroutine that runs now */
void hook_forget(void);    /* no longer wanted */
void hook_follow(void);    /* another coroutine runs, and the hook is wanted or in place */
unsigned hook_moves(void); /* has changed: the program has done something since */

/* L runs from now on; NULL: no coroutine does. To be called before L's predecessor can be
 * collected. */
static inline void hook_running(lua_State *L) {
    rt.running = L;
    if (rt.hooked) {
        hook_follow();
    }
}

#endif
