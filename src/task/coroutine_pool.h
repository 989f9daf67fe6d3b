/* SPDX-License-Identifier: MIT
 *
 * Coroutines for tasks, reused where possible; and the extra space of every coroutine, which holds
 * its innermost scope (a pointer, task/scope.c) and, in that pointer's lowest bits, these marks.
 *
 * Invariant: a coroutine taken here cannot be distinguished from a new one.
 */
#ifndef LARIAT_COROUTINE_POOL_H
#define LARIAT_COROUTINE_POOL_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define CO_IN_RUNTIME ((uintptr_t)1) /* suspended by the runtime: scripts cannot resume it */
#define CO_SEEN ((uintptr_t)2)       /* a script may have a reference to it: not to be reused */
#define CO_TASK ((uintptr_t)4)       /* a task's own coroutine: always CO_IN_RUNTIME as well */
#define CO_MARKS (CO_IN_RUNTIME | CO_SEEN | CO_TASK)

/* The extra space: marks and scope. */
static inline uintptr_t *co_marks(lua_State *co) {
    return lua_getextraspace(co);
}

/* A coroutine for a task, with an empty stack. `*anchor` becomes the registry reference that
 * keeps it alive. Raises if there is no memory. */
lua_State *coroutine_pool_take(lua_State *L, int *anchor);

/* Returns a coroutine that has ended. `anchor` refers to it, or to its task's object. `again`:
 * it has returned without an error and its task has no object, so it may be reused; else it is
 * released. */
void coroutine_pool_give_back(lua_State *co, int anchor, bool again);

#endif
