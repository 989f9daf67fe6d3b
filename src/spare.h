/* SPDX-License-Identifier: MIT
 *
 * The coroutines of tasks, and what is kept in the extra space of every coroutine: see spare.c.
 */
#ifndef LARIAT_SPARE_H
#define LARIAT_SPARE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* Marks; the rest of the extra space is the coroutine's innermost scope, see scope.c. */
#define CO_IN_RUNTIME ((uintptr_t)1) /* the runtime has suspended it: see coroutine.c */
#define CO_SEEN ((uintptr_t)2)       /* a script may know it: it is nobody else's afterwards */
#define CO_TASK ((uintptr_t)4) /* a task's own: nobody else resumes it, so it is in the runtime */
#define CO_MARKS (CO_IN_RUNTIME | CO_SEEN | CO_TASK)

static inline uintptr_t *co_marks(lua_State *co) {
    return lua_getextraspace(co);
}

/* A coroutine for a task, and the registry's reference that keeps it. May raise. */
lua_State *spare_take(lua_State *L, int *anchor);
/* It has ended, and `anchor` refers to it or to its task's handle. */
void spare_give_back(lua_State *co, int anchor, bool again);

#endif
