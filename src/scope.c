/* SPDX-License-Identifier: MIT
 *
 * Scopes. A scope is a call: scope.run(options, f, ...) in scope_lua.c runs f inside it. A deadline or a
 * cancellation belongs to a scope: every wait inside raises task.cancelled, again and again, until
 * control has left the scope, which alone turns it into a result. So a library that swallows the
 * error in a pcall meets it again at its next wait, and code outside never sees it.
 *
 * Scopes form a chain from the innermost (rt.tasks.scope) outwards: those of the running coroutine,
 * then those of the coroutine that resumed it, and so on, then the scope its task was spawned in. A
 * coroutine takes its own scopes along when it is suspended: its consumer never feels them.
 *
 * Invariant: whoever has a pointer to a scope keeps it alive. Its userdata is on the stack of the
 * call that made it, or in the table of open ones with the coroutine that opened it; tasks spawned
 * in it keep it; and one that can have tasks keeps those further out. Who resumes a coroutine is not
 * kept: that link is cut when the coroutine gives control back.
 *
 * The lists of what waits inside reach only scopes that live: a task that waits keeps those around it,
 * and one with nothing inside is in no list. Only the timer of such a one may still be in the heap; it
 * is removed when its coroutine stops running, after which the collector may take both.
 */
#include "scope.h"

#include "runtime.h"
#include "spare.h"
#include "task.h"

/* ---- what waits inside ---- */

static bool nothing_inside(const struct scope *s) {
    return list_is_empty(&s->waits) && list_is_empty(&s->inner);
}

/* Something waits in a scope in which nothing did: its time matters, and those further out know. */
static void something_inside(struct scope *s) {
    for (;;) {
        struct scope *outer = s->shield ? NULL : s->outer;
        if (s->due != NEVER && !s->cancelled) {
            timer_set(&s->timer, s->due);
            s->source = true;
            s->simulated = rt.world != NULL;
            rt.tasks.sources++;
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

/* Its time does not matter any more. The heap may keep the timer of one that will be waited in again,
 * but not of one whose memory may go. */
static void stop_timer(struct scope *s) {
    struct scheduler *scheduler = rt.outer != NULL && !s->simulated ? rt.outer : &rt.tasks;
    scheduler->sources -= s->source;
    s->source = false;
    if (s->suspended) {
        timer_remove(&s->timer);
    } else {
        timer_clear(&s->timer);
    }
}

/* The last wait inside has gone, if it was the last. */
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

/* Whoever finds out first, the timer or a wait that is about to begin: all waits inside end. */
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

/* Does this scope, or one further out that it feels, end every wait? */
static __attribute__((noinline)) bool ends_waits(struct scope *innermost) {
    struct scope *s = innermost;
    while (s != NULL && !over(s)) {
        s = s->shield ? NULL : s->outer;
    }
    return s != NULL;
}

bool scope_must_raise(void) {
    return (rt.tasks.scope != NULL && ends_waits(rt.tasks.scope)) ||
           (rt.tasks.current->cancel && !scope_shields(rt.tasks.scope));
}

/* A finalizer may have cancelled the scope after the wait was prepared. */
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

/* It lies within another one from now on, or in none. */
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

/* A coroutine's own innermost scope. Its extra space also holds marks in its lowest bits. */
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
    struct scope *outside = rt.tasks.scope;
    struct scope *own = own_scopes(co);
    rt.tasks.scope = own ? own : around;
    if (own != NULL) {
        resume_own(own, around);
    }
    return outside;
}

void scope_leave(struct scope *around) {
    rt.tasks.scope = around;
}

/* From now on nothing keeps the scope alive but the tasks inside it, which keep it while they wait. */
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
                        .outer = rt.tasks.scope,
                        .below = own_scopes(L),
                        .due = due,
                        .shield = shield};
}

void scope_begin(lua_State *L, struct scope *s) {
    set_own_scopes(L, s);
    rt.tasks.scope = s;
}

/* Tasks may be left in it if an error or a closed coroutine cut its end short. They keep the scopes
 * around it that are its coroutine's, and no others. */
static void end(lua_State *L, struct scope *s) {
    s->ended = true;
    suspend(s);
    const struct task *task = rt.tasks.current;
    if (s->below == NULL && (task == NULL || L != task->co)) {
        move_into(s, NULL);
    }
}

void scope_end(lua_State *L, struct scope *s) {
    set_own_scopes(L, s->below);
    rt.tasks.scope = s->outer;
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
        rt.tasks.scope = rt.tasks.scope == s ? s->outer : rt.tasks.scope;
        end(L, s);
    }
    s->ended = true;
}

bool scope_has_own(lua_State *L) {
    return own_scopes(L) != NULL;
}
