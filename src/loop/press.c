/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C at the prompt raises "interrupted!" once, where the code may clean up, and before every
 * instruction from a second press on, or a second later: `while true do pcall(f) end` is left like
 * anything else. It ends where control is back: when the call of guard() around it is left.
 *
 * It is meant for the prompt's task. Another task that keeps that one from running gets it, too; a
 * task that merely runs next does not.
 */
#include "loop/press.h"

#include <lauxlib.h>
#include <signal.h>

#include "loop/watchdog.h"
#include "task/hook.h"
#include "task/task.h"

#define INSIST_NS (1000 * 1000 * 1000ull)

static struct {
    volatile sig_atomic_t count;
    uint64_t first_at; /* the first of them has come */
    bool raised;       /* and maybe swallowed */
    bool elsewhere;    /* that was in another task */
    int guards;        /* calls of guard() that have not been left */
    int task;          /* registry reference to the prompt's */
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
        hook_want_next(); /* beyond the wait that raises it */
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

/* interruptible(task): it is the prompt's from now on; nil: Ctrl-C ends the program, as elsewhere. */
int press_interruptible(lua_State *L) {
    set_task(L, lua_isnoneornil(L, 1) ? NULL : task_check(L, 1)->task);
    return 0;
}

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

/* guard(handler, f, ...): as xpcall(f, handler, ...), and this task is the prompt's until f is left. */
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
