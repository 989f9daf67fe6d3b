/* SPDX-License-Identifier: MIT
 *
 * What scripts see of tasks: the methods of handles (join, cancel, status, name), spawn, sleep,
 * yield, now, current. Owns the unique value that cancellation
 * raises. lua/lariat/task.lua builds the module from these.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"

static const char cancelled_key; /* its address names the value in the registry */

void task_push_cancelled_value(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key);
}

bool task_is_cancelled_value(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TUSERDATA) {
        return false;
    }
    index = lua_absindex(L, index);
    task_push_cancelled_value(L);
    bool same = lua_rawequal(L, index, -1);
    lua_pop(L, 1);
    return same;
}

/* ---- methods ---- */

/* Of the task that has ended, whose handle is at index 1. */
static int push_results(lua_State *L) {
    struct fate *fate = task_fate(lua_touserdata(L, 1));
    lua_State *co = task_thread(L, 1);
    int n = fate->nvalues;
    if (fate->outcome == TASK_CANCELLED) {
        lua_pushnil(L);
        lua_pushliteral(L, "cancelled");
        return 2;
    }
    luaL_checkstack(L, n, "too many results");
    if (!lua_checkstack(co, n)) {
        return luaL_error(L, "not enough memory");
    }
    int first = lua_gettop(co) - n + 1;
    for (int i = 0; i < n; i++) {
        lua_pushvalue(co, first + i);
    }
    lua_xmove(co, L, n);
    if (fate->outcome == TASK_RETURNED) {
        return n;
    }
    if (fate->reported) {
        fate->reported = false;
        rt.tasks.unjoined_errors--;
    }
    fate->told = true;
    return lua_error(L);
}

/* A task failed, a task that joined it was to raise that, and is cancelled instead. */
static void report_missed(lua_State *L) {
    const struct task_handle *handle = lua_touserdata(L, 1);
    const struct fate *fate = &handle->last_fate;
    bool failed = handle->task == NULL && fate->outcome == TASK_FAILED;
    if (failed && !fate->told && !fate->quiet && !waitq_has_exclusive(&handle->joiners)) {
        lua_State *co = task_thread(L, 1);
        lua_pushvalue(co, -1);
        lua_xmove(co, L, 1);
        report_unjoined(L, 1);
        lua_pop(L, 1);
    }
}

static int joined(lua_State *L, int status, lua_KContext ctx) {
    const struct task_handle *handle = lua_touserdata(L, 1);
    (void)status, (void)ctx;
    if (task_resumed() == WAKE_CANCELLED) {
        report_missed(L);
        return task_raise(L);
    }
    if (handle->task != NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    return push_results(L);
}

double task_opt_seconds(lua_State *L, int arg) {
    double seconds = luaL_optnumber(L, arg, -1);
    luaL_argcheck(L, seconds == seconds, arg, "seconds expected, got nan");
    return seconds;
}

static int method_join(lua_State *L) {
    struct task_handle *handle = task_check(L, 1);
    double seconds = task_opt_seconds(L, 2);
    if (handle->task == NULL) {
        return push_results(L);
    }
    luaL_argcheck(L, handle->task != rt.tasks.current, 1, "a task cannot join itself");
    if (seconds == 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    task_prepare(L, "join");
    struct task *self = rt.tasks.current;
    self->interest.claim = CLAIM_EXCLUSIVE; /* as opposed to task.wait, which takes no results */
    self->interest.stays = true;
    waitq_join(&handle->joiners, &self->interest, self, false);
    return task_park(L, "join", clock_after(seconds), false, 0, joined);
}

static int method_cancel(lua_State *L) {
    struct task *task = task_check(L, 1)->task;
    lua_pushboolean(L, task != NULL && task_cancel(task));
    return 1;
}

static int method_status(lua_State *L) {
    static const char *const states[] = {"ready", "running", "waiting", "done"};
    static const char *const outcomes[] = {"unfinished", "done", "failed", "cancelled"};
    const struct task_handle *handle = task_check(L, 1);
    lua_pushstring(L, handle->task != NULL ? states[handle->task->state]
                                           : outcomes[handle->last_fate.outcome]);
    return 1;
}

/* name([new]) -> its name so far */
static int method_name(lua_State *L) {
    task_check(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        luaL_checkstring(L, 2);
    }
    task_push_name_of(L, 1);
    if (!lua_isnil(L, 2)) {
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, 1, TASK_NAME);
    }
    return 1;
}

static int method_traceback(lua_State *L) {
    if (task_check(L, 1)->task == NULL) {
        task_push_traceback(L, 1);
    } else {
        traceback_push(L, task_thread(L, 1), NULL, 0);
    }
    return 1;
}

static int method_tostring(lua_State *L) {
    task_check(L, 1);
    task_push_name_of(L, 1);
    lua_pushfstring(L, "task: %p (%s)", lua_topointer(L, 1), lua_tostring(L, -1));
    return 1;
}

/* ---- functions ---- */

/* Takes the options at `index` out of the stack: the name they give, pushed below, or NULL. */
static const char *take_name(lua_State *L, int index) {
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "name") != 0) {
            const char *option = luaL_tolstring(L, -1, NULL);
            lua_createtable(L, 0, 1);
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "name");
            const char *hint = module_push_hint(L, option);
            luaL_argerror(L, index, lua_pushfstring(L, "no such option '%s'%s", option, hint));
        }
    }
    if (lua_getfield(L, index, "name") != LUA_TNIL && lua_type(L, -1) != LUA_TSTRING) {
        luaL_argerror(L, index, "option 'name' is no string");
    }
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* named(options) -> the name they give, or nil */
static int fn_named(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    take_name(L, 1);
    lua_settop(L, 1);
    return 1;
}

/* spawn([options,] f, ...) -> task */
static int fn_spawn(lua_State *L) {
    const char *name = NULL;
    int f = 1;
    if (lua_istable(L, 1)) {
        module_check_dot(L, "function");
        name = take_name(L, 1);
        f = 2;
    }
    luaL_checktype(L, f, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - f, name);
    return 1;
}

/* scoped(f, ...): a task that is cancelled when the `<close>` variable holding it goes. */
static int fn_scoped(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - 1, NULL)->fate.quiet = true;
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    return task_resumed() == WAKE_CANCELLED ? task_raise(L) : 0;
}

int task_sleep(lua_State *L) {
    module_check_dot(L, "number");
    luaL_checknumber(L, 1);
    double seconds = task_opt_seconds(L, 1);
    task_prepare(L, "sleep");
    if (!(seconds > 0)) {
        return task_give_way(L, 0, slept);
    }
    return task_park(L, "sleep", clock_after(seconds), true, 0, slept);
}

static int fn_yield(lua_State *L) {
    task_prepare(L, "yield");
    return task_give_way(L, 0, slept);
}

static int fn_now(lua_State *L) {
    lua_pushnumber(L, (double)clock_now() / 1e9);
    return 1;
}

static int fn_current(lua_State *L) {
    if (rt.tasks.current == NULL) {
        lua_pushnil(L);
    } else {
        task_push(L, rt.tasks.current);
    }
    return 1;
}

static int cancelled_tostring(lua_State *L) {
    lua_pushliteral(L, "task.cancelled");
    return 1;
}

static const luaL_Reg methods[] = {
    {"join", method_join},           {"cancel", method_cancel},
    {"status", method_status},       {"name", method_name},
    {"traceback", method_traceback}, {"__tostring", method_tostring},
    {"__close", method_cancel},      {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"spawn", fn_spawn},
    {"sleep", task_sleep},
    {"yield", fn_yield},
    {"now", fn_now},
    {"current", fn_current},
    {"onerror", report_onerror},
    {"report", report_error},
    {"gate", gate_new},
    {"adopt_traceback", report_adopt_traceback},
    {"origins", report_origins},
    {"message", traceback_message},
    {"explain", traceback_explain},
    {"named", fn_named},
    {"scoped", fn_scoped},
    {NULL, NULL},
};

/* There is one, however often the module is opened. */
static void make_cancelled_value(lua_State *L) {
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, cancelled_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "task.cancelled");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
}

int task_open(lua_State *L) {
    handles_open(L, methods);
    gate_open(L);
    luaL_newlib(L, functions);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key) == LUA_TNIL) {
        lua_pop(L, 1);
        make_cancelled_value(L);
    }
    lua_setfield(L, -2, "cancelled");
    return 1;
}
