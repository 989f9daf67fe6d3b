/* SPDX-License-Identifier: MIT
 *
 * Scopes: how far a cancellation or a deadline reaches. See scope.c.
 */
#ifndef LARIAT_SCOPE_H
#define LARIAT_SCOPE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct scope {
    struct scope *outer; /* the next one out, of this coroutine or of who runs it */
    struct scope *below; /* the next one out of this coroutine; NULL: its outermost */
    uint64_t due;        /* when its time is up; NEVER */
    bool cancelled;      /* every wait inside raises */
    bool expired;        /* ... because its time was up */
    bool shield;         /* what is asked of those further out does not reach inside */
    bool ended;
};

/* The scopes a wait of the running coroutine is in. */
uint64_t scope_due(void);    /* the nearest deadline */
bool scope_must_raise(void); /* one of them is cancelled, or its time is up */

/* Around lua_resume: the scopes of `co` take effect inside those of who resumes it. */
struct scope *scope_enter(lua_State *co, struct scope *around); /* what to give scope_leave */
void scope_leave(struct scope *around);

int scope_open(lua_State *L); /* scope.run, ... for lua/lariat/task.lua */

#endif
