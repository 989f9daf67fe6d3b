/* SPDX-License-Identifier: MIT
 *
 * Scopes: how far a cancellation or a deadline reaches. Once a scope's time is up, or it is
 * cancelled, every wait inside ends, and from then on none can begin there.
 *
 * A scope knows what waits inside: the tasks whose innermost scope it is, and the scopes inside it
 * that know of a wait themselves. So it costs nothing while nothing waits in it, its end costs as
 * much as there is inside, and its timer runs only while there is something to end.
 */
#ifndef LARIAT_SCOPE_H
#define LARIAT_SCOPE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "list.h"

struct task;

struct scope {
    struct timer timer;    /* set while something waits inside */
    struct list waits;     /* tasks that wait, and are in no scope further in */
    struct list inner;     /* scopes further in with a wait inside; no shields */
    struct list_link link; /* in the list of `outer`, if this has a wait inside and is no shield */
    struct scope *outer;   /* the next one out, of this coroutine or of who runs it */
    struct scope *below;   /* the next one out of this coroutine; NULL: its outermost */
    uint64_t due;          /* when its time is up; NEVER */
    bool cancelled;        /* every wait inside raises */
    bool expired;          /* ... because its time was up */
    bool shield;           /* what is asked of those further out does not reach inside */
    bool ended;
    bool source;    /* its deadline can end a wait: counted in rt.tasks.sources ... */
    bool simulated; /* ... of the simulation, not of the world outside */
    bool suspended; /* its coroutine does not run, and may go without a word */
};

bool scope_shields(const struct scope *innermost); /* its task's cancellation is not felt inside */
bool scope_must_raise(void); /* one that the running coroutine is in is cancelled or expired */

/* ---- what waits inside ---- */
void scope_join(struct task *task);        /* it begins to wait in task->scope, not NULL */
void scope_leave_waits(struct task *task); /* it has been woken */
void scope_leave_task(struct task *task); /* suspended, it will not be resumed: so its scopes end */

/* Around lua_resume: the scopes of `co` take effect inside those of who resumes it. */
struct scope *scope_enter(lua_State *co, struct scope *around); /* what to give scope_leave */
void scope_leave(struct scope *around);
void scope_detach(lua_State *co); /* it yielded or ended: who resumed it is nothing to it now */
void scope_forget(lua_State *co); /* before lua_resetthread, which drops what its scopes live in */

/* ---- of the running coroutine ---- */
void scope_init(lua_State *L, struct scope *s, uint64_t due, bool shield);
void scope_begin(lua_State *L, struct scope *s);    /* it is the innermost one now */
void scope_end(lua_State *L, struct scope *s);      /* and all further in that are still open */
void scope_take_out(lua_State *L, struct scope *s); /* this one alone, in whatever order */
bool scope_has_own(lua_State *L);
void scope_cancel(struct scope *s); /* every wait inside raises from now on */

int scope_open(lua_State *L); /* scope.run, ... for lua/lariat/task.lua */

#endif
