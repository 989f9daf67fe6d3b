/* SPDX-License-Identifier: MIT
 *
 * Scopes. A scope is the duration of a call: scope.run(...) in scope_api.c runs a function inside
 * one. A deadline or a cancellation belongs to a scope: once it is due, every wait inside raises
 * task.cancelled, again and again, until control has left the scope, and only scope.run turns it
 * into a result. So a library that catches the error in a pcall gets it again at its next wait, and
 * code outside the scope never sees it.
 *
 * Scopes form a chain from the innermost (scheduler.scope) outwards: those of the running
 * coroutine, then those of the coroutine that resumed it, and so on, then the scope in which its
 * task was spawned. A suspended coroutine keeps its own scopes, and they do not affect the code
 * that resumed it.
 *
 * Invariant: a scope lives as long as there is a pointer to it. Its userdata is on the stack of the
 * call that made it, or, for scope.open, in a table under the coroutine that opened it; tasks
 * spawned in a scope keep it; and a scope that can have tasks keeps the scopes around it. The
 * scopes of the code that resumes a coroutine are not kept: that link (`outer` of the coroutine's
 * outermost scope) is cut when the coroutine yields or ends.
 *
 * The lists of what waits inside contain only live scopes: a task that waits keeps the scopes
 * around it, and a scope with nothing inside is in no list. The timer of such a scope may still be
 * in the heap; it is removed when the coroutine stops running, after which both may be collected.
 */
#include "task/scope.h"

#include "base/clock.h"
#include "base/state.h"
#include "task/coroutine_pool.h"
#include "task/task.h"

/* ---- what waits inside ---- */

static bool nothing_inside(const struct scope *s) {
    return list_is_empty(&s->waits) && list_is_empty(&s->inner);
}

/* The first wait in a scope: sets its timer, and adds it to the list of the next one out, where
 * it may be the first as well. */
static void something_inside(struct scope *s) {
    for (;;) {
        struct scope *outer = s->shield ? NULL : s->outer;
        if (s->due != NEVER && !s->cancelled) {
            timer_set(&s->timer, s->due);
            s->source = true;
            s->simulated = rt.world != NULL;
            scheduler.sources++;
        }
        bool known = outer == NULL || !nothing_inside(outer);
        if (outer != NULL) {
            list_append(&outer->inner, &s->link);
        }
        if (known) {
            return;
        }
        s = outer;
    }
}

/* Nothing waits inside any more: stops its timer. That may stay in the heap for the next wait,
 * unless the scope is suspended, since its memory may then be freed. */
static void stop_timer(struct scope *s) {
    struct scheduler *of = scheduler.outer != NULL && !s->simulated ? scheduler.outer : &scheduler;
    of->sources -= s->source;
    s->source = false;
    if (s->suspended) {
        timer_remove(&s->timer);
    } else {
        timer_clear(&s->timer);
    }
}

/* A wait inside has ended. If it was the last one, undoes what something_inside did, outwards. */
static void something_left(struct scope *s) {
    while (s != NULL && nothing_inside(s)) {
        struct scope *outer = list_has(&s->link) ? s->outer : NULL;
        stop_timer(s);
        if (outer != NULL) {
            list_remove(&outer->inner, &s->link);
        }
        s = outer;
    }
}

void scope_leave_waits(struct task *task) {
    list_remove(&task->scope->waits, &task->link);
    something_left(task->scope);
}

static void wake_inside(struct scope *s) {
    while (!nothing_inside(s)) {
        struct scope *innermost = s;
        while (list_is_empty(&innermost->waits)) {
            innermost = LIST_ITEM(innermost->inner.first, struct scope, link);
        }
        task_wake(LIST_ITEM(innermost->waits.first, struct task, link), WAKE_CANCELLED);
    }
}

void scope_cancel(struct scope *s) {
    s->cancelled = true;
    wake_inside(s);
}

/* The time is up, as the timer or a wait that is about to begin has found: ends all waits
 * inside. */
static void expire(struct scope *s) {
    s->expired = true;
    scope_cancel(s);
}

static void time_is_up(struct timer *timer) {
    expire((struct scope *)timer); /* the timer is its first member */
}

/* ---- the chain ---- */

bool scope_shields(const struct scope *innermost) {
    const struct scope *s = innermost;
    while (s != NULL && !s->shield) {
        s = s->outer;
    }
    return s != NULL;
}

static bool over(struct scope *s) {
    if (!s->cancelled && s->due != NEVER && s->due <= clock_now()) {
        expire(s);
    }
    return s->cancelled;
}

/* Whether this scope, or one further out up to the first shield, is cancelled or its time is up. */
static __attribute__((noinline)) bool ends_waits(struct scope *innermost) {
    struct scope *s = innermost;
    while (s != NULL && !over(s)) {
        s = s->shield ? NULL : s->outer;
    }
    return s != NULL;
}

bool scope_must_raise(void) {
    return (scheduler.scope != NULL && ends_waits(scheduler.scope)) ||
           (scheduler.current->cancel && !scope_shields(scheduler.scope));
}

/* The same without reading the clock: a finalizer may have cancelled a scope since task_prepare. */
static bool is_cancelled(const struct scope *innermost) {
    const struct scope *s = innermost;
    while (s != NULL && !s->cancelled) {
        s = s->shield ? NULL : s->outer;
    }
    return s != NULL;
}

void scope_join(struct task *task) {
    bool first = nothing_inside(task->scope);
    list_append(&task->scope->waits, &task->link);
    if (first) {
        something_inside(task->scope);
    }
    if (is_cancelled(task->scope)) {
        task_wake(task, WAKE_CANCELLED);
    }
}

/* Makes `outer` (or none, NULL) the next scope out, with what waits inside. */
static void move_into(struct scope *s, struct scope *outer) {
    if (s->outer == outer) {
        return;
    }
    if (list_has(&s->link)) {
        list_remove(&s->outer->inner, &s->link);
        something_left(s->outer);
    }
    s->outer = outer;
    if (outer == NULL || s->shield || nothing_inside(s)) {
        return;
    }
    bool first = nothing_inside(outer);
    list_append(&outer->inner, &s->link);
    if (first) {
        something_inside(outer);
    }
    if (ends_waits(outer)) {
        wake_inside(s);
    }
}

/* ---- coroutines ---- */

/* The innermost of the coroutine's own scopes, from its extra space, or NULL. */
static struct scope *own_scopes(lua_State *co) {
    return (struct scope *)(*co_marks(co) & ~CO_MARKS);
}

static void set_own_scopes(lua_State *co, struct scope *scope) {
    *co_marks(co) = (uintptr_t)scope | (*co_marks(co) & CO_MARKS);
}

static __attribute__((noinline)) void resume_own(struct scope *own, struct scope *around) {
    for (; own != NULL; own = own->below) {
        own->suspended = false;
        if (own->below == NULL) {
            move_into(own, around);
        }
    }
}

struct scope *scope_enter(lua_State *co, struct scope *around) {
    struct scope *outside = scheduler.scope;
    struct scope *own = own_scopes(co);
    scheduler.scope = own ? own : around;
    if (own != NULL) {
        resume_own(own, around);
    }
    return outside;
}

void scope_leave(struct scope *around) {
    scheduler.scope = around;
}

/* The scope's coroutine stops running: the scope may be collected as soon as no task waits
 * inside. */
static void suspend(struct scope *s) {
    s->suspended = true;
    if (nothing_inside(s)) {
        timer_remove(&s->timer);
    }
}

void scope_detach(lua_State *co) {
    for (struct scope *s = own_scopes(co); s != NULL; s = s->below) {
        suspend(s);
        if (s->below == NULL) {
            move_into(s, NULL);
        }
    }
}

void scope_forget(lua_State *co) {
    scope_detach(co);
    set_own_scopes(co, NULL);
}

void scope_leave_task(struct task *task) {
    for (struct scope *s = task->scope; s != NULL && s != task->base;) {
        struct scope *outer = s->outer;
        suspend(s);
        if (s->below == NULL) {
            move_into(s, NULL);
        }
        s = outer;
    }
    task->scope = NULL;
}

/* ---- of the running coroutine ---- */

void scope_init(lua_State *L, struct scope *s, uint64_t due, bool shield) {
    *s = (struct scope){.timer = {.due = NEVER, .fire = time_is_up},
                        .outer = scheduler.scope,
                        .below = own_scopes(L),
                        .due = due,
                        .shield = shield};
}

void scope_begin(lua_State *L, struct scope *s) {
    set_own_scopes(L, s);
    scheduler.scope = s;
}

/* Tasks may still be inside, if an error or coroutine.close ended it early. They keep those scopes
 * around it that are its coroutine's own; the link to all others is cut. */
static void end(lua_State *L, struct scope *s) {
    s->ended = true;
    suspend(s);
    const struct task *task = scheduler.current;
    if (s->below == NULL && (task == NULL || L != task->co)) {
        move_into(s, NULL);
    }
}

void scope_end(lua_State *L, struct scope *s) {
    set_own_scopes(L, s->below);
    scheduler.scope = s->outer;
    end(L, s);
}

void scope_take_out(lua_State *L, struct scope *s) {
    struct scope *above = NULL;
    for (struct scope *own = own_scopes(L); own != NULL && own != s; own = own->below) {
        above = own;
    }
    if (above != NULL && above->below == s) {
        above->below = s->below;
        move_into(above, s->outer);
        end(L, s);
    } else if (own_scopes(L) == s) {
        set_own_scopes(L, s->below);
        scheduler.scope = scheduler.scope == s ? s->outer : scheduler.scope;
        end(L, s);
    }
    s->ended = true;
}

bool scope_has_own(lua_State *L) {
    return own_scopes(L) != NULL;
}
