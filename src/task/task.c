/* SPDX-License-Identifier: MIT
 *
 * The scheduler: spawn, wake, resume, cancel. Has the only lua_resume that starts or continues a
 * task; the only lua_yieldk that suspends one is in wait.c.
 *
 * A task is a coroutine whose body runs under lua_pcallk, so that `<close>` variables run, and may
 * wait, when an error or a cancellation leaves it. A wake-up only puts the task into the ready
 * list; the resumed task itself repeats its attempt. So nothing runs Lua, or allocates, on behalf
 * of a suspended task, and a memory error is raised in the task that caused it.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "base/world.h"
#include "task/coroutine_pool.h"
#include "task/hook.h"

/* A tick ends after this many resumes, or this long: then the loop polls the network, even if tasks
 * keep waking each other. */
#define TURNS_PER_TICK 10000
#define TICK_NS (1000 * 1000)
#define TURNS_PER_LOOK 32 /* resumes between two readings of the clock */

/* ---- ready and later ---- */

/* A task of the real world may be woken while a simulation runs: it runs after the simulation. */
static struct scheduler *scheduler_of(const struct task *task) {
    return scheduler.outer != NULL && !rt.world->contains(task) ? scheduler.outer : &scheduler;
}

void task_later(struct task *task) {
    task->state = TASK_READY;
    list_append(&scheduler.later, &task->link);
}

static inline void make_ready(struct task *task, struct scheduler *s) {
    task->state = TASK_READY;
    list_append(&s->ready, &task->link);
}

/* Takes the task out of all that could end its wait; its timer stays set, without effect. */
static inline void stop_waiting(struct task *task, struct scheduler *s) {
    s->sources -= task->source;
    task->source = false;
    if (task->scope != NULL) {
        scope_leave_waits(task);
    }
    if (task->interest.queue != NULL) {
        waitq_woken(&task->interest);
    }
    for (size_t i = 0; i < task->set_count; i++) {
        if (task->set[i].queue != NULL) {
            waitq_woken(&task->set[i]);
        }
    }
}

bool task_wake(struct task *task, enum wake why) {
    if (task->state != TASK_WAITING) {
        return false;
    }
    struct scheduler *s = scheduler_of(task);
    stop_waiting(task, s);
    task->wake = why;
    make_ready(task, s);
    return true;
}

static void deadline_passed(struct timer *timer) {
    task_wake((struct task *)timer, WAKE_DEADLINE); /* the timer is a task's first member */
}

bool task_cancel(struct task *task) {
    if (task->state == TASK_DONE) {
        return false;
    }
    task->cancel = true;
    if (task->state == TASK_WAITING && !scope_shields(task->scope)) {
        task_wake(task, WAKE_CANCELLED);
    }
    return true;
}

bool task_spent(int cost) {
    scheduler.budget -= cost;
    return scheduler.budget <= 0;
}

/* ---- a task's life ---- */

static int task_ended(lua_State *L, int status, lua_KContext ctx) {
    struct task *task = scheduler.current;
    struct task_record *record = &task->record;
    (void)ctx;
    if (status == LUA_OK || status == LUA_YIELD) {
        record->outcome = TASK_RETURNED;
        return lua_gettop(L) - 1; /* all but the message handler */
    }
    record->outcome = task_is_cancelled_value(L, -1) ? TASK_CANCELLED : TASK_FAILED;
    const struct task_object *object = task_object(L, task);
    bool joined = object != NULL && waitq_has_exclusive(&object->joiners);
    if (record->outcome == TASK_FAILED && !joined && !record->quiet) {
        task_push(L, task);
        lua_pushvalue(L, -2);
        report_unjoined(L, lua_gettop(L) - 1); /* may fail: the outcome stands already */
        lua_pop(L, 2);
    }
    return 1;
}

static int task_body(lua_State *L) {
    lua_pushcfunction(L, task_keep_traceback);
    lua_insert(L, 1);
    return task_ended(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, task_ended), 0);
}

struct task *task_start(lua_State *L, lua_CFunction body, int nargs, struct location at,
                        struct location named) {
    const struct task *spawner = scheduler.current;
    if (rt.closing) {
        luaL_error(L, "the runtime is closing: no task can be started");
    }
    int anchor;
    lua_State *co = coroutine_pool_take(L, &anchor);
    if (!lua_checkstack(co, nargs + 2)) {
        coroutine_pool_give_back(co, anchor, false);
        luaL_error(L, "too many arguments");
    }
    struct task *task = clock_reserve(scheduler.live + 1) ? memory_try_take(sizeof(*task)) : NULL;
    if (task == NULL) {
        coroutine_pool_give_back(co, anchor, false);
        memory_no_memory(L);
        return NULL;
    }
    lua_pushcfunction(co, body);
    lua_xmove(L, co, nargs + 1);
    *task = (struct task){
        .timer = {.due = NEVER, .fire = deadline_passed},
        .co = co,
        .anchor = anchor,
        .domain = spawner != NULL    ? spawner->domain
                  : rt.world != NULL ? rt.world->domain
                                     : 0,
        .born = (unsigned)(rt.tick / TASK_AGE_NS),
        .since = rt.tick,
        .record = {.spawn_trace = spawn_trace_number(
                       at, named, spawner != NULL ? spawner->record.spawn_trace : 0),
                   .nvalues = nargs + 1},
    };
    tasks_add(task);
    make_ready(task, scheduler_of(task));
    return task;
}

struct task *task_spawn(lua_State *L, int nargs, const char *name) {
    struct location named = {0, 0};
    if (name == NULL) {
        named = location_of_function(L, lua_gettop(L) - nargs);
    }
    task_new_object(L);
    if (name != NULL) {
        lua_pushstring(L, name);
        lua_setiuservalue(L, -2, TASK_NAME);
    }
    lua_insert(L, -(nargs + 2));
    struct task *task = task_start(L, task_body, nargs, location_here(L), named);
    task_give_object(L, task);
    return task;
}

void task_runs(struct task *task, struct location body) {
    const struct task *spawner = scheduler.current;
    struct location at = spawn_trace_of(task->record.spawn_trace)->lines[0];
    task->record.spawn_trace =
        spawn_trace_number(at, body, spawner != NULL ? spawner->record.spawn_trace : 0);
}

/* Clears pointers to the task: a later task may get the same memory. */
static void forget(const struct task *task) {
    scheduler.on_deadlock = task == scheduler.on_deadlock ? NULL : scheduler.on_deadlock;
    scheduler.exit_caller = task == scheduler.exit_caller ? NULL : scheduler.exit_caller;
}

/* The coroutine has ended, one way or another: frees the task. `again`: the coroutine is
 * reusable. */
static void finish(struct task *task, bool again) {
    task->state = TASK_DONE;
    if (task->service != NULL) {
        task->service->finished(task);
    }
    task_leave_queues(task);
    timer_remove(&task->timer);
    memory_free(task_take_interruption(task));
    tasks_remove(task);
    if (task->record.main && task->record.outcome != TASK_RETURNED && !rt.closing) {
        state_exit(1);
    }
    bool known = task_leave_object(rt.L, task);
    coroutine_pool_give_back(task->co, task->anchor, again && !known);
    forget(task);
    memory_give_back(task, sizeof(*task));
}

/* lua_resume failed: no memory, an error in reporting an error, or a yield that is not ours. */
static void finish_broken(struct task *task) {
    if (task->record.outcome == TASK_UNFINISHED) {
        task->record.outcome = TASK_FAILED;
        if (task->service == NULL || !task->service->raises) {
            const char *message = lua_tostring(task->co, -1);
            lua_writestringerror("lariat: task died: %s\n", message ? message : "(no message)");
            task->record.reported = task->service == NULL; /* handlers change no exit status */
            scheduler.unjoined_errors += task->record.reported;
        }
    }
    task->record.nvalues = 1;
}

static void resume(struct task *task) {
    lua_State *co = task->co;
    task->state = TASK_RUNNING;
    scheduler.current = task;
    scheduler.budget = TASK_BUDGET;
    scheduler.pinned = false;
    if (rt.world != NULL) {
        rt.world->task_enters(task);
    }
    hook_running(co);
    scope_enter(co, task->base);
    int status = lua_resume(co, rt.L, task->record.nvalues, &task->record.nvalues);
    scope_leave(NULL);
    if (status == LUA_YIELD && !scheduler.parking) {
        bool stopped = scheduler.stopping || rt.closing;
        task->record.outcome = stopped ? TASK_CANCELLED : TASK_UNFINISHED;
        scope_forget(co);
        lua_resetthread(co);
        lua_settop(co, 0);
        lua_pushliteral(co, "attempt to yield from outside a coroutine");
        status = LUA_ERRRUN;
    }
    scheduler.parking = scheduler.stopping = false;
    hook_running(NULL);
    if (status == LUA_OK || status == LUA_YIELD) {
        if (status == LUA_OK) {
            finish(task, true);
        }
    } else {
        finish_broken(task);
        finish(task, false);
    }
    scheduler.current = NULL;
}

/* Whether the tick has lasted long enough. In a simulation only resumes count: a clock would
 * make its runs differ. */
static bool tick_over(int turns, uint64_t began) {
    if (turns % TURNS_PER_LOOK != 0 || turns == 0 || rt.world != NULL) {
        return turns >= TURNS_PER_TICK;
    }
    return clock_now() - began >= TICK_NS;
}

bool task_is_overdue(void) {
    return clock_now() >= scheduler.unwound_by;
}

/* During teardown the time limit is checked before each resume: a tick could exceed it by far. */
static bool may_go_on(const struct scheduler *s) {
    return !list_is_empty(&s->ready) && !rt.exiting && !(rt.closing && task_is_overdue());
}

void task_run_ready(void) {
    struct scheduler *s = &scheduler;
    if (s->running) {
        return;
    }
    s->running = true;
    list_append_all(&s->ready, &s->later);
    uint64_t began = rt.tick; /* kept here because an early flush sets rt.tick anew */
    for (int turns = 0; may_go_on(s) && !tick_over(turns, began); turns++) {
        resume(LIST_ITEM(list_take_first(&s->ready), struct task, link));
    }
    s->running = false;
}

/* The task will not be resumed: takes it out of all it waits for, or out of the list it is ready
 * in. */
static void unschedule(struct task *task) {
    const struct list_link *first = scheduler.ready.first;
    if (task->state == TASK_WAITING) {
        stop_waiting(task, &scheduler);
    } else if (list_has(&task->link)) {
        bool at_an_end = first != NULL && (first == &task->link || first->prev == &task->link);
        list_remove(at_an_end ? &scheduler.ready : &scheduler.later, &task->link);
    }
    if (task->inner != NULL && task->inner != task->co) { /* a script may keep that coroutine */
        lua_pop(task->inner, 1);
        lua_pushlightuserdata(task->inner, NULL);
    }
    scope_leave_task(task);
}

void task_drop(struct task *task) {
    unschedule(task);
    task_leave_queues(task);
    scope_forget(task->co);
    task->base = NULL;
    task->record.outcome = TASK_CANCELLED;
    task->record.nvalues = 0;
    finish(task, false);
}

void task_abandon(struct task *task) {
    if (task->state == TASK_DONE) {
        return;
    }
    unschedule(task);
    scheduler.current = task;
    task->base = NULL; /* its memory may be freed before this task ends */
    task_resumed();
    task->state = TASK_RUNNING;
    scope_forget(task->co);
    hook_running(task->co);
    lua_resetthread(task->co); /* runs pending `<close>` variables, which cannot wait */
    scheduler.stopping = false;
    hook_running(NULL);
    task->record.outcome = TASK_CANCELLED;
    task->record.nvalues = 0;
    lua_settop(task->co, 0);
    finish(task, false);
    scheduler.current = NULL;
}
