/* SPDX-License-Identifier: MIT
 *
 * Interrupting the Lua code that runs: a signal handler asks for a function to be called in the
 * running coroutine, before its next Lua instruction, whichever coroutine that is by then. A hook
 * of the script's own is kept, and restored before the function is called.
 *
 * Invariant: rt.running is the coroutine that runs; all code that resumes a coroutine calls
 * hook_running(), before and after. The function is not called inside a finalizer or a hook of the
 * script's, nor while a C function runs: it is called after that.
 */
#ifndef LARIAT_HOOK_H
#define LARIAT_HOOK_H

#include <lua.h>

#include "base/state.h"

/* Once: the function to be called. It may raise or yield as a hook may. */
void hook_open(void (*function)(lua_State *L));

void hook_want(void); /* call it once, soon; async-signal-safe, also from the function itself */
void hook_want_next(void); /* the same, but not before another coroutine runs */
void hook_forget(void);    /* do not call it any more; async-signal-safe */
unsigned hook_moves(void); /* changes at each call, and each hook_running() while it is wanted */

/* For hook_running: moves the hook to the coroutine that runs now. */
void hook_follow(void);

/* L runs from now on; NULL: no coroutine does. To be called before the coroutine that ran until now
 * can be collected. */
static inline void hook_running(lua_State *L) {
    rt.running = L;
    if (rt.hooked) {
        hook_follow();
    }
}

#endif
