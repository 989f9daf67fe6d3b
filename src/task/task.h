/* SPDX-License-Identifier: MIT
 *
 * Tasks and waits.
 *
 * Invariants: a wait ends in exactly one way: ready, deadline, cancelled or closed. A waiting task
 * has interests, each an entry in a wait queue, and is in the list of the innermost scope it waits
 * in. A wake-up acts only on a task in state TASK_WAITING, and takes it out of all of them. Tasks
 * are resumed by task_run_ready only, and yield by task_park and task_give_way only.
 *
 * The struct belongs to the scheduler and is freed when the task ends: a pointer may be kept only
 * until then. Scripts refer to a task by its object (a userdata), which is made when first needed.
 */
#ifndef LARIAT_TASK_H
#define LARIAT_TASK_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "task/location.h"
#include "task/scope.h"
#include "task/service.h"
#include "task/spawn_trace.h"
#include "task/waitq.h"

enum __attribute__((packed)) task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE };
enum __attribute__((packed)) task_outcome {
    TASK_UNFINISHED,
    TASK_RETURNED,
    TASK_FAILED,
    TASK_CANCELLED
};

/* What is kept of a task after it has ended. */
struct task_record {
    unsigned spawn_trace; /* a number: see task/spawn_trace.h */
    int nvalues; /* values on its coroutine: the first arguments; after its end, the results */
    enum task_outcome outcome;
    bool main;     /* the main script */
    bool reported; /* its error was reported and no join has raised it yet */
    bool told;     /* its error was reported, or raised by a join */
    bool quiet;    /* its error is never reported: its spawner takes care of that */
};

/* Bytes in a task for the operation it is parked in. Only the floor above knows what is in them. */
#define TASK_PARKED_SIZE 80

/* There may be very many: the members are ordered so that there is no padding. */
struct task {
    struct timer timer;    /* first; the deadline of the current wait, without those of scopes */
    struct list_link link; /* waiting: in scope->waits; ready: in scheduler.ready or .later */
    struct task *all_prev, *all_next; /* in scheduler.all */
    lua_State *co;                    /* kept by the anchor */
    lua_State *inner;                 /* the coroutine it waits in: `co` or one further in */
    struct service *service;          /* the service it is a member of, or NULL */
    struct scope *base;               /* the scope it was spawned in, or NULL */
    struct scope *scope;              /* the innermost scope it is suspended in, or NULL */
    const char *waiting_for;          /* name of the operation it is parked in; a constant */
    struct interest interest;         /* the interest of a wait that has only one */
    struct interest *set; /* further ones; on the waiting call's stack, or in `parked` */
    uint64_t since;       /* rt.tick when its current wait began */
    _Alignas(8) char parked[TASK_PARKED_SIZE]; /* the operation it is parked in */
    unsigned set_count;
    int anchor;      /* registry reference to its object, or to the coroutine if it has none */
    unsigned domain; /* passed on to its sockets and tasks: tells tests, or machines, apart */
    unsigned born;   /* rt.tick when it was spawned, in units of TASK_AGE_NS */
    struct task_record record;
    enum task_state state;
    enum wake wake; /* why it was woken */
    bool cancel;    /* it was cancelled: every wait raises, unless shielded */
    bool source;    /* counted in scheduler.sources: something else than a task can end its wait */
    bool closing;   /* another task closes the coroutine it waits in */
    bool interrupted; /* task_interrupt has a message to be raised in it */
};

#define TASK_AGE_NS (1ull << 24) /* 17 ms: `born` overflows after two years */

/* ---- scheduling ---- */

struct scheduler {
    struct list ready;    /* woken tasks: they run in this tick */
    struct list later;    /* tasks that have given up their turn: they run in the next tick */
    struct task *all;     /* every task that has not ended */
    struct task *current; /* the task that runs, or NULL */
    struct scope *scope;  /* the innermost scope of the running coroutine, or NULL */
    size_t live;          /* length of `all` */
    size_t sources;       /* waits, and scopes with waits, that the kernel or a deadline can end */
    int budget;           /* what the current task may still do in this turn: see task_spent */
    size_t unjoined_errors; /* reported errors that no join has raised since */
    bool running;           /* inside task_run_ready */
    bool parking;           /* the yield under way is the runtime's own */
    bool stopping;          /* the current task is being stopped, coroutine by coroutine */
    bool pinned;            /* some coroutine that led to the running one cannot yield: no waits */
    struct task *on_deadlock; /* a deadlock interrupts it, and does not end the program; or NULL */
    struct task *exit_caller; /* it called os.exit, which does not return; or NULL */
    uint64_t unwound_by;      /* teardown: the time limit of all tasks (monotonic ns) */
    struct scheduler *outer;  /* that of the real world, while a simulation runs; else NULL */
};

extern struct scheduler scheduler;

/* The list of all tasks: see tasks.c. */
void tasks_add(struct task *task);    /* it has been spawned */
void tasks_remove(struct task *task); /* it has ended */
void tasks_insert(struct task **link, struct task *before, struct task *task);
void tasks_take_out(struct task *task); /* to be inserted elsewhere */

/* Takes a function and `nargs` arguments from the stack, and pushes the object of a new task
 * that will call it, in this tick or the next. `name` is copied; NULL: none. Raises (memory,
 * closing). */
struct task *task_spawn(lua_State *L, int nargs, const char *name);

/* The same with body(f, ...) as the task's C function, without an object: pushes nothing. `at` and
 * `named` are for its spawn trace: the spawning line, and where its function begins. */
struct task *task_start(lua_State *L, lua_CFunction body, int nargs, struct location at,
                        struct location named);

/* Its function is only a wrapper: show `body` as where its function begins. */
void task_runs(struct task *task, struct location body);

/* One tick: resumes the ready tasks, for about 1 ms at most. Does nothing inside itself. */
void task_run_ready(void);
bool task_is_overdue(void);         /* teardown: the tasks' time limit has passed */
void task_later(struct task *task); /* makes it ready in the next tick; it is in no list */

/* Ends the task's wait; it runs in this tick or the next. False: it does not wait. Never raises. */
bool task_wake(struct task *task, enum wake why);

/* From now on every wait of the task raises task.cancelled, but for shields. False: it has
 * ended. */
bool task_cancel(struct task *task);

/* Raises `message` (copied) once in the task, at its current or next wait; a second is ignored. */
void task_interrupt(struct task *task, const char *message);

/* The message not raised yet, to be freed by memory_free; NULL: none. */
char *task_take_interruption(struct task *task);

void task_abandon(struct task *task); /* ends it now; its `<close>` variables run, without waits */
void task_drop(struct task *task);    /* ends it now; no `<close>` variable runs */

/* ---- waiting: task_prepare, enter queues, task_park; in the continuation, task_resumed ---- */

/* Whether the running code can wait: it is in a task, and Lua can yield here. */
bool task_can_wait(lua_State *L);

/* Raises if the running code cannot wait, or must raise instead; `what` names the call in messages.
 * Everything that may raise comes before entering a queue. */
void task_prepare(lua_State *L, const char *what);

/* Suspends the running task until it is woken, or until `due` (monotonic ns, or NEVER); then the
 * continuation `k` is called with `ctx`. `what` is a constant that names the wait. `source`:
 * something else than a task can end it. Used as `return task_park(...)`. */
int task_park(lua_State *L, const char *what, uint64_t due, bool source, lua_KContext ctx,
              lua_KFunction k);

/* The same, but the task is ready again in the next tick. */
int task_give_way(lua_State *L, lua_KContext ctx, lua_KFunction k);

/* The first call of every continuation: leaves all queues, clears the timer, and returns why the
 * wait ended. WAKE_CANCELLED: the continuation returns task_raise(L). */
enum wake task_resumed(void);

/* Raises the pending cancellation or interruption of the running task. */
int task_raise(lua_State *L);

/* Whether a wait of the running task would raise. */
bool task_must_raise(void);
void task_leave_queues(struct task *task); /* part of task_resumed; also when a task ends */

/* Charges `cost` attempts to the current turn. True: it is used up, the task should give way. */
#define TASK_BUDGET 64         /* attempts per turn that reach the driver */
#define TASK_BUDGET_BYTES 4096 /* bytes that count as one attempt */
bool task_spent(int cost);

/* ---- the objects by which scripts refer to tasks ---- */
#define TASK_TYPE "lariat.task"

struct task_object {
    struct task *task;              /* NULL: it has ended */
    struct waitq joiners;           /* tasks that wait for its end */
    struct task_record last_record; /* its record, once it has ended */
};

/* User values of a task object. */
enum {
    TASK_THREAD = 1, /* its coroutine */
    TASK_FAILURE,    /* nil, or {error, traceback}: the error that has most recently left a call */
    TASK_NAME,       /* nil, or the name that it was given */
    TASK_SCOPE,      /* the scope that it was spawned in, or nil */
    TASK_USER_VALUES = TASK_SCOPE
};

/* Makes the metatable; methods whose names begin with "_" are metamethods as well. */
void task_objects_open(lua_State *L, const luaL_Reg *methods);
void task_push(lua_State *L, struct task *task); /* its object, made if it has none; may raise */
void task_new_object(lua_State *L);              /* pushes one without a task; may raise */
void task_give_object(lua_State *L, struct task *task); /* the one on top is the task's */
struct task_object *task_object(lua_State *L, const struct task *task); /* or NULL */
struct task_object *task_check(lua_State *L, int index); /* raises if the argument is none */
struct task *task_referenced(int reference); /* registry reference to an object; NULL: ended */
struct task_record *task_record(struct task_object *object);
lua_State *task_thread(lua_State *L, int object);     /* its coroutine; `object`: an index */
void task_push_name(lua_State *L, struct task *task); /* its name, or "file:line" */
void task_push_name_of(lua_State *L, int object);     /* the same, for the object at this index */
bool task_leave_object(lua_State *L, struct task *task); /* it ends; false: it has no object */

/* ---- for scripts ---- */
int task_open(lua_State *L);                    /* luaopen_* of the C half of lariat.task */
double task_opt_seconds(lua_State *L, int arg); /* none or negative: no limit; raises on nan */
int task_sleep(lua_State *L);                   /* sleep(seconds) */
void task_make_cancelled_value(lua_State *L);   /* pushes it; made at the first call */
void task_push_cancelled_value(lua_State *L);   /* task.cancelled, which a cancelled wait raises */
bool task_is_cancelled_value(lua_State *L, int index);

/* Replace Lua's coroutine functions and require by versions inside which a task can wait. */
void coroutine_install(lua_State *L);
void require_install(lua_State *L);
void debug_install(lua_State *L); /* functions of debug that cannot reach into the runtime */

/* Conditions: a wait queue as a userdata, for lua/lariat/internal. */
void condition_open(lua_State *L);                     /* makes the metatable */
int condition_new(lua_State *L);                       /* condition() -> a new one */
struct waitq *condition_test(lua_State *L, int index); /* NULL: the value is no condition */

/* ---- reports of errors that no task joins ---- */
int task_keep_traceback(lua_State *L);              /* message handler of bodies and scopes */
void task_push_traceback(lua_State *L, int object); /* what that has stored, or nil */
void report_unjoined(lua_State *L, int object);     /* reports the error on top, of that task */

/* Lua functions: onerror(f), report(error, title, traceback), adopt_traceback(error, traceback),
 * origins(task, traceback). */
int report_onerror(lua_State *L);
int report_error(lua_State *L);
int report_adopt_traceback(lua_State *L);
int report_add_spawn_trace(lua_State *L);

#endif
