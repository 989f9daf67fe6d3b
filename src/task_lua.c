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
static const char onerror_key;

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

/* ---- errors that nobody joins ---- */

/* With the error on top: calls onerror(error, traceback, task), or prints. Never raises. */
void task_report_failure(lua_State *L, const char *traceback, const char *title) {
    int top = lua_gettop(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &onerror_key) == LUA_TFUNCTION) {
        lua_pushvalue(L, top);
        lua_pushstring(L, traceback);
        lua_pushstring(L, title);
        if (lua_pcall(L, 3, 0, 0) == LUA_OK) {
            lua_settop(L, top);
            return;
        }
        lua_writestringerror("lariat: error in onerror: %s\n", luaL_tolstring(L, -1, NULL));
    }
    fflush(stdout);
    lua_writestringerror(*title ? "lariat: %s: " : "lariat: ", title);
    lua_writestringerror("%s\n", traceback);
    lua_settop(L, top);
}

void task_report(lua_State *L, struct task *task) {
    int top = lua_gettop(L);
    task->reported = true;
    rt.tasks.unjoined_errors++;
    task_push(L, task);
    lua_getiuservalue(L, top + 1, TASK_TRACEBACK);
    lua_getiuservalue(L, top + 1, TASK_NAME);
    lua_getiuservalue(L, top + 1, TASK_SPAWNED_AT);
    const char *traceback = lua_tostring(L, top + 2);
    const char *name = lua_tostring(L, top + 3);
    const char *where = lua_tostring(L, top + 4);
    if (task == rt.tasks.main) {
        lua_pushliteral(L, "");
    } else {
        lua_pushfstring(L, "error in task%s%s (spawned at %s)", name ? " " : "", name ? name : "",
                        where && *where ? where : "?");
    }
    const char *title = lua_tostring(L, -1);
    lua_pushvalue(L, top);
    task_report_failure(L, traceback ? traceback : "(no traceback)", title);
    lua_settop(L, top);
}

/* Where a suspended coroutine is: the first Lua function from the top. */
static void push_position(lua_State *L, lua_State *co) {
    lua_Debug frame;
    for (int level = 0; lua_getstack(co, level, &frame); level++) {
        lua_getinfo(co, "Sl", &frame);
        if (frame.currentline > 0) {
            lua_pushfstring(L, "%s:%d", frame.short_src, frame.currentline);
            return;
        }
    }
    lua_pushliteral(L, "?");
}

void task_describe(lua_State *L, struct task *task) {
    int top = lua_gettop(L);
    task_push(L, task);
    lua_getiuservalue(L, top + 1, TASK_NAME);
    lua_getiuservalue(L, top + 1, TASK_SPAWNED_AT);
    const char *name = lua_tostring(L, top + 2);
    const char *where = lua_tostring(L, top + 3);
    push_position(L, task->co);
    lua_pushfstring(L, "task %s (spawned at %s) waits in %s at %s", name ? name : "(unnamed)",
                    where && *where ? where : "?",
                    task->waiting_for ? task->waiting_for : "nothing", lua_tostring(L, top + 4));
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* ---- methods ---- */

static int push_results(lua_State *L, struct task *task) {
    lua_State *co = task->co;
    int n = task->nresults;
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
    return lua_error(L);
}

static int joined(lua_State *L, int status, lua_KContext ctx) {
    struct task *task = (struct task *)ctx;
    (void)status;
    switch (task_resumed()) {
    case WAKE_CANCELLED: return task_raise(L);
    case WAKE_DEADLINE:
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    default: return push_results(L, task);
    }
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

static int method_name(lua_State *L) {
    task_check(L, 1);
    if (lua_getiuservalue(L, 1, TASK_NAME) == LUA_TNIL) {
        lua_getiuservalue(L, 1, TASK_SPAWNED_AT);
    }
    return 1;
}

static int method_traceback(lua_State *L) {
    struct task *task = task_check(L, 1);
    if (task->state == TASK_DONE) {
        lua_getiuservalue(L, 1, TASK_TRACEBACK);
    } else {
        luaL_traceback(L, task->co, NULL, 0);
    }
    return 1;
}

static int method_tostring(lua_State *L) {
    task_check(L, 1);
    lua_pushfstring(L, "task: %p", lua_topointer(L, 1));
    return 1;
}

/* ---- functions ---- */

static int fn_spawn(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - 1, NULL);
    return 1;
}

static int fn_spawn_named(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    bool quiet = lua_toboolean(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    struct task *task = task_spawn(L, lua_gettop(L) - 3, name);
    task->quiet = quiet;
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

static int fn_onerror(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) {
        luaL_checktype(L, 1, LUA_TFUNCTION);
    }
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &onerror_key);
    lua_insert(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &onerror_key);
    return 1;
}

/* adopt_traceback(error, traceback): what is printed with this error if nobody joins this task */
static int fn_adopt_traceback(lua_State *L) {
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    task_push(L, rt.tasks.current);
    lua_insert(L, 1);
    lua_setiuservalue(L, 1, TASK_TRACEBACK);
    lua_setiuservalue(L, 1, TASK_TRACED);
    return 0;
}

/* report(error, title): what serve does with a handler's error, which ends no program. */
static int fn_report(lua_State *L) {
    const char *title = luaL_checkstring(L, 2);
    const char *traceback = luaL_optstring(L, 3, "");
    lua_pushvalue(L, 1);
    task_report_failure(L, traceback, title);
    return 0;
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
    {"spawn", fn_spawn},     {"spawn_named", fn_spawn_named},
    {"sleep", task_sleep},   {"yield", fn_yield},
    {"now", fn_now},         {"current", fn_current},
    {"onerror", fn_onerror}, {"report", fn_report},
    {"gate", gate_new},      {"adopt_traceback", fn_adopt_traceback},
    {"scoped", fn_scoped},   {NULL, NULL},
};

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
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, cancelled_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "task.cancelled");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
    lua_setfield(L, -2, "cancelled");
    return 1;
}
