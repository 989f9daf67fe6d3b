/* SPDX-License-Identifier: MIT
 *
 * What scripts see of tasks: the handle (join, cancel, status, name), spawn, sleep, yield, now,
 * current, and how an error that nobody joins is reported. Owns the unique value that cancellation
 * raises. lua/lariat/task.lua builds the module from these.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "runtime.h"
#include "task.h"

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

struct task *task_check(lua_State *L, int index) {
    return luaL_checkudata(L, index, TASK_TYPE);
}

void task_push(lua_State *L, struct task *task) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->handle);
}

/* ---- names ---- */

/* The name it was given, or the line where its function begins, or the line that spawned it. */
void task_push_name_of(lua_State *L, int handle) {
    const struct task *task = lua_touserdata(L, handle);
    if (lua_getiuservalue(L, handle, TASK_NAME) == LUA_TNIL) {
        lua_pop(L, 1);
        place_push(L, task->body.file ? task->body : origin_of(task->origin)->lines[0]);
    }
}

void task_push_name(lua_State *L, struct task *task) {
    task_push(L, task);
    task_push_name_of(L, lua_gettop(L));
    lua_remove(L, -2);
}

/* ---- methods ---- */

static int push_results(lua_State *L, struct task *task) {
    lua_State *co = task->co;
    int n = task->nvalues;
    if (task->outcome == TASK_CANCELLED) {
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
    if (task->outcome == TASK_RETURNED) {
        return n;
    }
    if (task->reported) {
        task->reported = false;
        rt.tasks.unjoined_errors--;
    }
    task->told = true;
    return lua_error(L);
}

/* A task failed, a task that joined it was to raise that, and is cancelled instead. */
static void report_missed(lua_State *L, struct task *task) {
    bool failed = task->state == TASK_DONE && task->outcome == TASK_FAILED;
    if (failed && !task->told && !task->quiet && !waitq_has_exclusive(&task->joiners)) {
        lua_pushvalue(task->co, -1);
        lua_xmove(task->co, L, 1);
        report_unjoined(L, 1);
        lua_pop(L, 1);
    }
}

static int joined(lua_State *L, int status, lua_KContext ctx) {
    struct task *task = (struct task *)ctx;
    (void)status;
    if (task_resumed() == WAKE_CANCELLED) {
        report_missed(L, task);
        return task_raise(L);
    }
    if (task->state != TASK_DONE) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    return push_results(L, task);
}

static int method_join(lua_State *L) {
    struct task *task = task_check(L, 1);
    double seconds = luaL_optnumber(L, 2, -1);
    if (task->state == TASK_DONE) {
        return push_results(L, task);
    }
    luaL_argcheck(L, task != rt.tasks.current, 1, "a task cannot join itself");
    if (seconds == 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    task_prepare(L, "join");
    struct task *self = rt.tasks.current;
    self->interest.exclusive = true; /* as opposed to task.wait, which takes no results */
    waitq_join(&task->joiners, &self->interest, self, false);
    return task_park(L, "join", clock_after(seconds), false, (lua_KContext)task, joined);
}

static int method_cancel(lua_State *L) {
    lua_pushboolean(L, task_cancel(task_check(L, 1)));
    return 1;
}

static int method_status(lua_State *L) {
    static const char *const states[] = {"ready", "running", "waiting", "done"};
    static const char *const outcomes[] = {"unfinished", "done", "failed", "cancelled"};
    struct task *task = task_check(L, 1);
    lua_pushstring(L, task->state == TASK_DONE ? outcomes[task->outcome] : states[task->state]);
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
    struct task *task = task_check(L, 1);
    if (task->state == TASK_DONE) {
        task_push_traceback(L, 1);
    } else {
        luaL_traceback(L, task->co, NULL, 0);
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
            luaL_argerror(L, index,
                          lua_pushfstring(L, "no such option '%s'", luaL_tolstring(L, -1, NULL)));
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
    task_spawn(L, lua_gettop(L) - 1, NULL)->quiet = true;
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    return task_resumed() == WAKE_CANCELLED ? task_raise(L) : 0;
}

int task_sleep(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
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
    {"join", method_join}, {"cancel", method_cancel},       {"status", method_status},
    {"name", method_name}, {"traceback", method_traceback}, {NULL, NULL},
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
    luaL_newmetatable(L, TASK_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, method_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, method_cancel);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);

    gate_open(L);
    luaL_newlib(L, functions);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key) == LUA_TNIL) {
        lua_pop(L, 1);
        make_cancelled_value(L);
    }
    lua_setfield(L, -2, "cancelled");
    return 1;
}
