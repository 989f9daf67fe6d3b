/* SPDX-License-Identifier: MIT
 *
 * Scopes: the reach of a cancellation or a deadline. Once a scope is cancelled, or its time is up,
 * every wait inside ends by raising task.cancelled, and none can begin.
 *
 * Invariant: a scope lists what waits inside: the tasks whose innermost scope it is, and the scopes
 * inside it in which something waits. So a scope costs nothing while nothing waits in it, ending
 * the waits takes time proportional to their number, and the timer runs only while there is a wait.
 *
 * The memory is the caller's: it must live until scope_end, and as long as a task waits inside.
 */
#ifndef LARIAT_SCOPE_H
#define LARIAT_SCOPE_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"

struct task;

struct scope {
    struct timer timer;    /* first; set while something waits inside */
    struct list waits;     /* waiting tasks whose innermost scope this is */
    struct list inner;     /* scopes directly inside in which something waits; no shields */
    struct list_link link; /* in `inner` of `outer` */
    struct scope *outer;   /* the next one out, also across coroutines; NULL: none */
    struct scope *below;   /* the next one out of the same coroutine; NULL: none */
    uint64_t due;          /* its deadline (monotonic ns); NEVER: none */
    bool cancelled;        /* every wait inside raises */
    bool expired;          /* it was cancelled because its deadline has passed */
    bool shield;           /* cancellations and deadlines of outer scopes have no effect inside */
    bool ended;            /* control has left it */
    bool source;           /* counted in scheduler.sources: its deadline can end a wait */
    bool simulated;        /* ... in those of the simulation, not of the real world */
    bool suspended;        /* its coroutine does not run, and may be collected */
};

/* None of these functions raises or waits, except scope_open. */

/* Whether this scope (or NULL) or one further out is a shield: task_cancel has no effect inside. */
bool scope_shields(const struct scope *innermost);

/* Whether a wait in the running coroutine would raise: a scope around it is cancelled or its
 * deadline has passed, or the current task is cancelled and not shielded. */
bool scope_must_raise(void);

/* Cancels the scope: wakes all that waits inside, with WAKE_CANCELLED. */
void scope_cancel(struct scope *s);

/* ---- for the scheduler: what waits inside ---- */

void scope_join(struct task *task);        /* the task begins to wait in task->scope, not NULL */
void scope_leave_waits(struct task *task); /* the task has been woken */
void scope_leave_task(struct task *task);  /* it will not be resumed: its scopes end */

/* ---- around lua_resume and lua_resetthread ---- */

/* Makes co's own scopes the innermost ones, inside `around`; returns what scope_leave is given. */
struct scope *scope_enter(lua_State *co, struct scope *around);
void scope_leave(struct scope *around);

/* co has yielded to its resumer, or ended: it is not inside the resumer's scopes any more. */
void scope_detach(lua_State *co);

/* Before lua_resetthread, which drops the references to co's own scopes. */
void scope_forget(lua_State *co);

/* ---- of the running coroutine L ---- */

/* Initializes `s`, to be the innermost scope of L; `due` in monotonic ns, or NEVER. */
void scope_init(lua_State *L, struct scope *s, uint64_t due, bool shield);
void scope_begin(lua_State *L, struct scope *s);    /* enters it */
void scope_end(lua_State *L, struct scope *s);      /* leaves it and all open ones further in */
void scope_take_out(lua_State *L, struct scope *s); /* leaves it alone, in whatever order */
bool scope_has_own(lua_State *L);                   /* whether L has any scope of its own */

/* luaopen_* of scope.run and scope.open, for lua/lariat/task.lua. */
int scope_open(lua_State *L);

#endif
