/* SPDX-License-Identifier: MIT
 *
 * Child processes, from the fork until they have been reaped, and their methods. spawn.c prepares the
 * start; lua/lariat/internal/process/process.lua makes the object that scripts see.
 *
 * Lua owns a struct process. The runtime owns the struct child until libuv has closed its handle,
 * which happens after the child has been reaped, even if Lua's half was collected long before. A child
 * whose object was closed or collected is ended (SIGTERM, a second later SIGKILL) and reaped in the
 * background. At exit the remaining children are ended and waited for, so that no child outlives the
 * program. Detaching was rejected: a script that wants a daemon runs a program that makes one.
 */
#include "process/process.h"

#include <lauxlib.h>
#include <signal.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "base/state.h"
#include "base/world.h"
#include "kernel/driver.h"
#include "net/result.h"
#include "task/task.h"

#define PROCESS_TYPE "lariat.process"
#define KILL_AFTER_NS (1000ull * 1000 * 1000) /* from SIGTERM to SIGKILL */

struct child {
    uv_process_t uv;         /* the first member: libuv's callbacks get a pointer to it */
    struct process *process; /* NULL: its object was closed or collected */
    struct child *prev, *next;
    struct timer kill_timer; /* for SIGKILL, after SIGTERM was sent */
};

static struct child *children; /* those not yet reaped */

/* ---- the end of a child ---- */

static void free_child(uv_handle_t *uv) {
    memory_free(uv);
}

static void let_go(struct child *c) {
    *(c->prev ? &c->prev->next : &children) = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    if (c->process != NULL) {
        c->process->child = NULL;
    }
    timer_remove(&c->kill_timer);
    uv_close((uv_handle_t *)&c->uv, free_child);
}

static void on_exit_of(uv_process_t *uv, int64_t code, int number) {
    struct child *c = (struct child *)uv;
    struct process *p = c->process;
    if (p != NULL) {
        p->ended = true;
        p->code = (int)code;
        p->signal = number;
        waitq_wake_all(&p->waiters, WAKE_READY);
    }
    let_go(c);
}

static void kill_now(struct timer *timer) {
    struct child *c = (struct child *)((char *)timer - offsetof(struct child, kill_timer));
    uv_process_kill(&c->uv, SIGKILL);
}

/* The object is closed or collected: the child is ended and reaped in the background. */
static void give_up(struct child *c) {
    if (c->process != NULL) {
        c->process->child = NULL;
        c->process = NULL;
        uv_process_kill(&c->uv, SIGTERM);
        timer_set_outside(&c->kill_timer, clock_now_outside() + KILL_AFTER_NS);
    }
}

/* Does nothing: the timer only ends the turn of the driver. */
static void ignore(struct timer *timer) {
    (void)timer;
}

/* Waits, for at most twice KILL_AFTER_NS, until the remaining children have ended. */
void process_close_all(void) {
    struct timer bound = {.due = NEVER, .fire = ignore};
    uint64_t end = clock_now() + 2 * KILL_AFTER_NS;
    for (struct child *c = children; c != NULL; c = c->next) {
        give_up(c);
    }
    timer_set(&bound, end);
    while (children != NULL && clock_now() < end) {
        driver_kernel_turn(true);
    }
    timer_remove(&bound);
    while (children != NULL) {
        let_go(children);
    }
}

/* ---- the start of a child ---- */

int process_start(struct process *p, uv_process_options_t *options) {
    struct child *c = memory_try(NULL, sizeof(*c));
    if (c == NULL) {
        return UV_ENOMEM;
    }
    *c = (struct child){.kill_timer = {.due = NEVER, .fire = kill_now}};
    options->exit_cb = on_exit_of;
    int err = uv_spawn(&rt.loop, &c->uv, options);
    if (err < 0) {
        uv_close((uv_handle_t *)&c->uv, free_child);
        return err;
    }
    c->next = children;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    children = c;
    c->process = p;
    p->child = c;
    p->pid = c->uv.pid;
    return 0;
}

struct process *process_new(lua_State *L) {
    struct process *p = lua_newuserdatauv(L, sizeof(*p), 0);
    *p = (struct process){.child = NULL};
    luaL_setmetatable(L, PROCESS_TYPE);
    return p;
}

/* ---- methods ---- */

static int push_status(lua_State *L, const struct process *p) {
    if (!p->ended) {
        return result_error(L, "closed");
    }
    const char *name = p->signal ? signal_name(p->signal) : NULL;
    lua_pushstring(L, p->signal ? "signal" : "exit");
    if (name != NULL) {
        lua_pushstring(L, name);
    } else {
        lua_pushinteger(L, p->signal ? p->signal : p->code);
    }
    return 2;
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
    const struct process *p = lua_touserdata(L, 1);
    (void)status, (void)ctx;
    enum wake why = task_resumed();
    if (why == WAKE_CANCELLED) {
        return task_raise(L);
    }
    return p->child != NULL ? result_error(L, "timeout") : push_status(L, p);
}

/* wait([seconds]) -> "exit", code | "signal", name | nil, "timeout" | nil, "closed" */
static int method_wait(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    double seconds = luaL_optnumber(L, 2, -1);
    if (p->child == NULL) {
        return push_status(L, p);
    }
    task_prepare(L, "process:wait");
    world_refuse(L, "process:wait");
    struct task *task = scheduler.current;
    waitq_join(&p->waiters, &task->interest, task, false);
    return task_park(L, "process:wait", clock_after(seconds), true, 0, waited);
}

/* kill([signal]) -> true | nil, message */
static int method_kill(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    int number = lua_isnoneornil(L, 2) ? SIGTERM : signal_check(L, 2);
    if (p->child == NULL) {
        return result_error(L, p->ended ? "exited" : "closed");
    }
    int err = uv_process_kill(&p->child->uv, number);
    if (err < 0) {
        return result_fail(L, err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int method_close(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    if (p->child != NULL) {
        give_up(p->child);
        waitq_wake_all(&p->waiters, WAKE_CLOSED);
    }
    return 0;
}

static int method_pid(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    lua_pushinteger(L, p->pid);
    return 1;
}

static int method_running(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    lua_pushboolean(L, p->child != NULL);
    return 1;
}

/* ---- the limit of descriptors ---- */

bool process_lower_limit(struct rlimit *raised) {
    if (getrlimit(RLIMIT_NOFILE, raised) < 0 || raised->rlim_cur <= rt.limits.rlim_cur) {
        return false;
    }
    struct rlimit lowered = {.rlim_cur = rt.limits.rlim_cur, .rlim_max = raised->rlim_max};
    return setrlimit(RLIMIT_NOFILE, &lowered) == 0;
}

/* ---- the class ---- */

void process_open_class(lua_State *L) {
    static const luaL_Reg methods[] = {{"wait", method_wait},       {"kill", method_kill},
                                       {"close", method_close},     {"pid", method_pid},
                                       {"running", method_running}, {NULL, NULL}};
    luaL_newmetatable(L, PROCESS_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, method_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}
