/* SPDX-License-Identifier: MIT
 *
 * Tasks and waits. A wait ends exactly one way: ready, deadline, cancelled or closed. A waiting task
 * holds interests, each a place in some object's queue of waiters, and is a member of the innermost
 * scope it waits in. A wake-up acts only on a task in state WAITING, and takes it out of all of them.
 *
 * The struct is the scheduler's and goes when the task ends; what scripts hold of it is a handle, made
 * when one asks for it. One function resumes (task_run_ready) and one yields (task_park).
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
#include "task/spawn_trace.h"
#include "task/location.h"
#include "task/scope.h"
#include "task/service.h"
#include "task/waitq.h"

enum __attribute__((packed)) task_state { TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE };
enum __attribute__((packed)) task_outcome {
    TASK_UNFINISHED,
    TASK_RETURNED,
    TASK_FAILED,
    TASK_CANCELLED
};

/* What is known of a task also when it has ended. */
struct task_record {
    unsigned spawn_trace; /* its function, the lines that spawned it, its spawner, ... */
    int nvalues; /* on its coroutine: what the first resume passes; once it has ended, the results */
    enum task_outcome outcome;
    bool main;     /* the script itself */
    bool reported; /* its error was printed and nobody has joined it yet */
    bool told;     /* its error was printed, or raised in a task that joined it */
    bool quiet;    /* its errors are its starter's business: not reported */
};

#define TASK_PARKED_SIZE 72 /* bytes for an operation: its floor says what is in them */

/* There may be very many: the order of the members leaves no holes. */
struct task {
    struct timer timer; /* the deadline of the current wait, without those of scopes */
    struct list_link
        link; /* waiting: among the waits of `scope`; ready: in the ready or later queue */
    struct task *all_prev, *all_next;
    lua_State *co;            /* kept by the anchor */
    lua_State *inner;         /* the coroutine it waits in, itself or one it has resumed */
    struct service *service;  /* that it is a member of, or NULL */
    struct scope *base;       /* the scope it was spawned in, or NULL */
    struct scope *scope;      /* the innermost one that it is suspended in, or NULL */
    const char *waiting_for;  /* name of the operation it is parked in */
    struct interest interest; /* the usual single interest */
    struct interest *set; /* several: in memory anchored by the waiting call's stack, or `parked` */
    uint64_t since;       /* tick in which its current wait began */
    _Alignas(8) char parked[TASK_PARKED_SIZE]; /* of the operation it is parked in: see net/op.h */
    unsigned set_count;
    int anchor;      /* registry reference to its handle, or to the coroutine while it has none */
    unsigned domain; /* what it makes belongs to: see dump.c */
    unsigned born;   /* tick in which it was spawned, in units of TASK_AGE_NS */
    struct task_record record;
    enum task_state state;
    enum wake wake;   /* why it was woken */
    bool cancel;      /* cancellation was asked for: every wait raises it */
    bool source;      /* its own deadline or something outside the tasks can end its current wait:
                         it is counted in scheduler.sources */
    bool closing;     /* another task closes the coroutine it waits in */
    bool interrupted; /* a message is to be raised in it: see task_wait.c */
};

#define TASK_AGE_NS (1ull << 24) /* 17 ms: an age is right for two years */

/* ---- scheduling ---- */

struct scheduler {
    struct list ready;      /* tasks that were woken: they run in this tick */
    struct list later;      /* tasks that gave their turn away: they run in the next */
    struct task *all;       /* every task that has not ended */
    struct task *current;   /* the one whose coroutine runs, or NULL */
    struct scope *scope;    /* the innermost one the running coroutine is in */
    size_t live;            /* length of `all` */
    size_t sources;         /* waits, and scopes with waits inside, that something else than a task
                               can end: the kernel, or a deadline */
    int budget;             /* what the current task may still do this turn */
    size_t unjoined_errors; /* reported errors nobody has joined since */
    bool running;           /* inside task_run_ready */
    bool parking;           /* the yield under way is the runtime's own */
    bool stopping;          /* the current task is being closed: see interrupt.c */
    bool pinned;            /* a resume further out cannot be suspended */
    struct task *on_deadlock; /* told of a deadlock instead of ending the program */
    struct task *exit_caller; /* it called os.exit, which does not return */
    uint64_t unwound_by;      /* teardown: when the tasks have had their time; 0: not yet */
    struct scheduler *outer;  /* of the real world, set aside while another is installed; or NULL */
};

extern struct scheduler scheduler;

/* The list of all tasks: see tasks.c. */
void tasks_add(struct task *task);    /* it has been spawned */
void tasks_remove(struct task *task); /* it has ended */
void tasks_insert(struct task **link, struct task *before, struct task *task);
void tasks_take_out(struct task *task); /* to be inserted elsewhere */

struct task *task_spawn(lua_State *L, int nargs, const char *name); /* f, args -> handle */
/* The same with body(f, args), without a handle. */
struct task *task_start(lua_State *L, lua_CFunction body, int nargs, struct location at,
                        struct location named);
void task_runs(struct task *task,
               struct location body); /* not the function it was given: a wrapper */
void task_run_ready(void);
bool task_is_overdue(void);         /* teardown: tasks get no more turns */
void task_later(struct task *task); /* run it again in the next tick */
bool task_wake(struct task *task, enum wake why);
bool task_cancel(struct task *task);                         /* false: it had ended */
void task_interrupt(struct task *task, const char *message); /* raise this in it */
char *task_take_interruption(struct task *task);             /* the caller's to free, or NULL */
void task_abandon(struct task *task);                        /* close without running it */
void task_drop(struct task *task);                           /* forget without closing it */

/* ---- the list of all tasks: see service.c ---- */

/* ---- waiting: prepare, join queues, park; in the continuation, resumed ---- */
bool task_can_wait(lua_State *L);
void task_prepare(lua_State *L, const char *what); /* raises: not yieldable, cancelled */
int task_park(lua_State *L, const char *what, uint64_t due, bool source, lua_KContext ctx,
              lua_KFunction k);
int task_give_way(lua_State *L, lua_KContext ctx, lua_KFunction k); /* run again next tick */
enum wake task_resumed(void); /* leaves all queues; why it was woken */
int task_raise(lua_State *L); /* raise the pending cancellation or interrupt */
bool task_must_raise(void);
void task_leave_queues(struct task *task);

/* Charges the current turn; true once it is used up and the task should give way. */
#define TASK_BUDGET 64         /* attempts that reach the driver, per turn */
#define TASK_BUDGET_BYTES 4096 /* bytes that count as one attempt */
bool task_spent(int cost);

/* ---- what scripts hold of a task: see object.c ---- */
#define TASK_TYPE "lariat.task"

struct task_object {
    struct task *task;              /* NULL once it has ended */
    struct waitq joiners;           /* who waits for its end */
    struct task_record last_record; /* once it has ended */
};

/* User values of a handle. */
enum {
    TASK_THREAD = 1,
    TASK_FAILURE, /* nil, or the error that has left a call last, and its traceback: see report.c */
    TASK_NAME,
    TASK_SCOPE, /* that it was spawned in */
    TASK_USER_VALUES = TASK_SCOPE
};

void task_objects_open(lua_State *L, const luaL_Reg *methods);
void task_push(lua_State *L, struct task *task); /* its handle, made now if it has none */
void task_new_object(lua_State *L);
void task_give_object(lua_State *L, struct task *task);
struct task_object *task_object(lua_State *L, const struct task *task); /* NULL: it has none */
struct task_object *task_check(lua_State *L, int index);
struct task *task_referenced(int reference); /* of a handle; NULL: none, or it has ended */
struct task_record *task_record(struct task_object *handle);
lua_State *task_thread(lua_State *L, int handle);
void task_push_name(lua_State *L, struct task *task);
void task_push_name_of(lua_State *L, int handle);
bool task_leave_object(lua_State *L, struct task *task); /* it has ended; did it have one? */

/* ---- for scripts ---- */
int task_open(lua_State *L);                    /* module lariat.task.core */
double task_opt_seconds(lua_State *L, int arg); /* negative: no limit, as if there is no argument */
int task_sleep(lua_State *L);                   /* sleep(seconds) */
void task_make_cancelled_value(lua_State *L);   /* once: and pushes it */
void task_push_cancelled_value(lua_State *L);
bool task_is_cancelled_value(lua_State *L, int index);

/* Replace Lua's coroutine functions, and its require, by ones that a wait passes through. */
void coroutine_install(lua_State *L);
void require_install(lua_State *L);
void debug_install(lua_State *L); /* functions of debug that cannot reach into the runtime */

/* A condition: a queue of tasks made visible to lua/lariat/internal. */
void condition_open(lua_State *L); /* makes its class */
int condition_new(lua_State *L);
struct waitq *condition_test(lua_State *L, int index); /* NULL: the value is no condition */

/* ---- errors that nobody joins, see report.c ---- */
int task_keep_traceback(lua_State *L);              /* message handler of bodies and scopes */
void task_push_traceback(lua_State *L, int handle); /* what that kept, or nil */
void report_unjoined(lua_State *L, int handle); /* of the task at `handle`, with the error on top */
int report_onerror(lua_State *L);
int report_error(lua_State *L);
int report_adopt_traceback(lua_State *L);
int report_origins(lua_State *L);

#endif
