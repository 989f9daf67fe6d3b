/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C at the prompt raises "interrupted!" once, so that the code may clean up. After a second press,
 * or a second later, it is raised before every instruction, so that even `while true do pcall(f) end`
 * is left. The interruption is over when the call of guard() around that code returns.
 *
 * The error is raised in the prompt's task, or in another task that keeps that one from running. A
 * task that merely runs next does not get it.
 */
#include "loop/press.h"

#include <lauxlib.h>
#include <signal.h>

#include "loop/watchdog.h"
#include "task/hook.h"
#include "task/task.h"

#define INSIST_NS (1000 * 1000 * 1000ull)

static struct {
    volatile sig_atomic_t count; /* presses since control was last back at the prompt */
    uint64_t first_at;           /* when the first of them came */
    bool raised;                 /* the error was raised; a pcall may have swallowed it */
    bool elsewhere;              /* it was raised in another task than the prompt's */
    int guards;                  /* calls of guard() that have not returned */
    int task;                    /* registry reference to the prompt's task, or LUA_NOREF */
} press = {.task = LUA_NOREF};

bool press_wanted(void) {
    return press.task != LUA_NOREF;
}

bool press_pending(void) {
    return press.count > 0;
}

void press_come(uint64_t at) {
    if (press.count == 0) {
        press.first_at = at;
        press.raised = press.elsewhere = false;
        watchdog_listen(at);
    }
    press.count++;
}

void press_drop(void) {
    press.count = 0;
}

static bool insists(void) {
    return press.count > 1 || watchdog_now() - press.first_at >= INSIST_NS;
}

void press_interrupt(lua_State *L, const struct task *busy) {
    const struct task *task = scheduler.current;
    bool prompt = task == task_referenced(press.task);
    bool insist = insists();
    if (prompt ? press.guards == 0 : task == NULL || task != busy) {
        if (insist) {
            hook_want_next();
        }
    } else if (insist || !press.raised) {
        press.raised = true;
        press.elsewhere = !prompt;
        if (insist) {
            hook_want();
        }
        luaL_error(L, "interrupted!");
    }
}

void press_poll(void) {
    struct task *task = task_referenced(press.task);
    if (task == NULL || press.elsewhere) {
        press.count = 0;
    } else if (insists()) {
        task_interrupt(task, "interrupted!");
        hook_want_next(); /* and again, should the code go on after the wait that raises it */
    } else if (!press.raised) {
        press.raised = true;
        task_interrupt(task, "interrupted!");
    }
}

/* ---- for lua/lariat ---- */

static void set_task(lua_State *L, struct task *task) {
    int reference = LUA_NOREF;
    if (task != NULL) {
        task_push(L, task);
        reference = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, press.task);
    press.task = reference;
}

/* interruptible(task): task is the prompt's from now on; nil: there is no prompt, and Ctrl-C ends the
 * program. */
int press_interruptible(lua_State *L) {
    set_task(L, lua_isnoneornil(L, 1) ? NULL : task_check(L, 1)->task);
    return 0;
}

/* The guarded function has returned, raised, or been resumed to its end. */
static int left(lua_State *L, int status, lua_KContext outer) {
    press.guards--;
    press.count = 0;
    hook_forget();
    luaL_unref(L, LUA_REGISTRYINDEX, press.task);
    press.task = (int)outer;
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* guard(handler, f, ...): as xpcall(f, handler, ...); the current task is the prompt's until f
 * returns or raises. */
int press_guard(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    int outer = press.task;
    press.task = LUA_NOREF;
    set_task(L, scheduler.current);
    press.guards++;
    int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, outer, left);
    return left(L, status, outer);
}
