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

uint64_t scope_due(const struct scope *innermost); /* the nearest deadline */
bool scope_shields(const struct scope *innermost); /* its task's cancellation is not felt inside */
bool scope_must_raise(void); /* one that the running coroutine is in is cancelled or expired */

/* Around lua_resume: the scopes of `co` take effect inside those of who resumes it. */
struct scope *scope_enter(lua_State *co, struct scope *around); /* what to give scope_leave */
void scope_leave(struct scope *around);
void scope_detach(lua_State *co); /* it yielded or ended: who resumed it is nothing to it now */
void scope_forget(lua_State *co); /* before lua_resetthread, which drops what its scopes live in */

int scope_open(lua_State *L); /* scope.run, ... for lua/lariat/task.lua */

#endif
