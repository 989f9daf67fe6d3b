/* SPDX-License-Identifier: MIT
 *
 * Waiting: how a task suspends itself, and how its continuation begins. Has the only lua_yieldk
 * that suspends a task (coroutine.c passes that yield through the script's own coroutines).
 *
 * Invariant: all that can raise (Lua cannot yield here, the task was cancelled) is checked by
 * task_prepare, before the task enters any queue; a continuation leaves all queues before it does
 * anything else.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"

void task_leave_queues(struct task *task) {
    waitq_leave(&task->interest);
    for (size_t i = 0; i < task->set_count; i++) {
        waitq_leave(&task->set[i]);
    }
    task->set_count = 0;
}

/* ---- interruptions: rare, so they are in a list here and not in each task ---- */

static struct interruption {
    struct interruption *next;
    const struct task *task;
    char *message;
} * interruptions;

void task_interrupt(struct task *task, const char *message) {
    if (task->interrupted) {
        return;
    }
    struct interruption *new = memory_alloc(sizeof(*new));
    *new = (struct interruption){interruptions, task, memory_alloc(strlen(message) + 1)};
    strcpy(new->message, message);
    interruptions = new;
    task->interrupted = true;
    task_wake(task, WAKE_CANCELLED);
}

char *task_take_interruption(struct task *task) {
    struct interruption **link = &interruptions;
    if (!task->interrupted) {
        return NULL;
    }
    while ((*link)->task != task) {
        link = &(*link)->next;
    }
    struct interruption *taken = *link;
    char *message = taken->message;
    *link = taken->next;
    memory_free(taken);
    task->interrupted = false;
    return message;
}

/* ---- waiting ---- */

bool task_can_wait(lua_State *L) {
    return scheduler.current != NULL && rt.running == L && !scheduler.pinned && lua_isyieldable(L);
}

bool task_must_raise(void) {
    struct task *task = scheduler.current;
    return task->interrupted || task->closing || scope_must_raise();
}

int task_raise(lua_State *L) {
    struct task *task = scheduler.current;
    if (task->closing) {
        return lua_yield(L, 0); /* not resumed: resume() in coroutine.c closes L */
    }
    if (task->interrupted) {
        char *message = task_take_interruption(task);
        lua_pushstring(L, message);
        memory_free(message);
        return location_error(L, lua_tostring(L, -1));
    }
    task_push_cancelled_value(L);
    return lua_error(L);
}

static int raise_later(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    task_resumed();
    return task_raise(L);
}

/* A loop that catches the cancellation and waits again must not starve others: each raise
 * counts. */
void task_prepare(lua_State *L, const char *what) {
    if (!task_can_wait(L)) {
        lua_pushfstring(L,
                        "%s would have to wait, but Lua cannot suspend here (inside a metamethod "
                        "or callback called from C, such as table.sort, string.gsub or __gc): call "
                        "it outside, or spawn a task",
                        what);
        location_error(L, lua_tostring(L, -1));
    }
    if (task_must_raise()) {
        if (scheduler.budget <= 0) {
            task_give_way(L, 0, raise_later); /* does not return */
        }
        task_spent(1);
        task_raise(L);
    }
}

/* A script's own coroutine yields its task, which coroutine.c finds on top of its stack. */
static int suspend(lua_State *L, struct task *task, lua_KContext ctx, lua_KFunction k) {
    bool own = L == task->co;
    scheduler.parking = true;
    task->inner = L;
    if (!own) {
        lua_pushlightuserdata(L, task);
    }
    return lua_yieldk(L, own ? 0 : 1, ctx, k);
}

int task_park(lua_State *L, const char *what, uint64_t due, bool source, lua_KContext ctx,
              lua_KFunction k) {
    struct task *task = scheduler.current;
    task->state = TASK_WAITING;
    task->waiting_for = what;
    task->since = rt.tick;
    timer_set(&task->timer, due);
    task->source = source || due != NEVER;
    scheduler.sources += task->source;
    task->scope = scheduler.scope;
    if (task->scope != NULL) {
        scope_join(task);
    }
    return suspend(L, task, ctx, k);
}

int task_give_way(lua_State *L, lua_KContext ctx, lua_KFunction k) {
    struct task *task = scheduler.current;
    task->scope = scheduler.scope;
    task->wake = WAKE_READY;
    task_later(task);
    return suspend(L, task, ctx, k);
}

enum wake task_resumed(void) {
    struct task *task = scheduler.current;
    task_leave_queues(task);
    task->inner = NULL;
    task->scope = NULL;
    task->waiting_for = NULL;
    timer_clear(&task->timer);
    return task_must_raise() ? WAKE_CANCELLED : task->wake;
}
