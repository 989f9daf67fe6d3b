/* SPDX-License-Identifier: MIT
 *
 * The C half of the module lariat.task: the methods of task objects (join, cancel, status, name,
 * traceback), and the functions spawn, sleep, yield, now, current. lua/lariat/task.lua builds the
 * module from these.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "task/traceback.h"
#include "task/usage.h"

/* ---- methods ---- */

/* Pushes the results of the ended task whose object is at index 1, or raises its error. */
static int push_results(lua_State *L) {
    struct task_record *record = task_record(lua_touserdata(L, 1));
    lua_State *co = task_thread(L, 1);
    int n = record->nvalues;
    if (record->outcome == TASK_CANCELLED) {
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
    if (record->outcome == TASK_RETURNED) {
        return n;
    }
    if (record->reported) {
        record->reported = false;
        scheduler.unjoined_errors--;
    }
    record->told = true;
    return lua_error(L);
}

/* join() is cancelled instead of raising the joined task's error: report the error, unless another
 * task joins it. */
static void report_missed(lua_State *L) {
    const struct task_object *object = lua_touserdata(L, 1);
    const struct task_record *record = &object->last_record;
    bool failed = object->task == NULL && record->outcome == TASK_FAILED;
    if (failed && !record->told && !record->quiet && !waitq_has_exclusive(&object->joiners)) {
        lua_State *co = task_thread(L, 1);
        lua_pushvalue(co, -1);
        lua_xmove(co, L, 1);
        report_unjoined(L, 1);
        lua_pop(L, 1);
    }
}

static int joined(lua_State *L, int status, lua_KContext ctx) {
    const struct task_object *object = lua_touserdata(L, 1);
    (void)status, (void)ctx;
    if (task_resumed() == WAKE_CANCELLED) {
        report_missed(L);
        return task_raise(L);
    }
    if (object->task != NULL) {
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
    struct task_object *object = task_check(L, 1);
    double seconds = task_opt_seconds(L, 2);
    if (object->task == NULL) {
        return push_results(L);
    }
    luaL_argcheck(L, object->task != scheduler.current, 1, "a task cannot join itself");
    if (seconds == 0) {
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    }
    task_prepare(L, "join");
    struct task *self = scheduler.current;
    self->interest.claim =
        CLAIM_EXCLUSIVE; /* this waits for the results, task.wait only for the end */
    self->interest.stays = true;
    waitq_join(&object->joiners, &self->interest, self, false);
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
    const struct task_object *object = task_check(L, 1);
    lua_pushstring(L, object->task != NULL ? states[object->task->state]
                                           : outcomes[object->last_record.outcome]);
    return 1;
}

/* name([new]) -> the name before */
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

/* Replaces the table of options at `index` by its option `name`, and returns that, or NULL. */
static const char *take_name(lua_State *L, int index) {
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING || strcmp(lua_tostring(L, -1), "name") != 0) {
            const char *option = luaL_tolstring(L, -1, NULL);
            lua_createtable(L, 0, 1);
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "name");
            const char *hint = usage_push_hint(L, option);
            luaL_argerror(L, index, lua_pushfstring(L, "no such option '%s'%s", option, hint));
        }
    }
    if (lua_getfield(L, index, "name") != LUA_TNIL && lua_type(L, -1) != LUA_TSTRING) {
        luaL_argerror(L, index, "option 'name' is no string");
    }
    lua_replace(L, index);
    return lua_tostring(L, index);
}

/* named(options) -> the option `name`, or nil */
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
        usage_check_dot(L, "function");
        name = take_name(L, 1);
        f = 2;
    }
    luaL_checktype(L, f, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - f, name);
    return 1;
}

/* scoped(f, ...) -> task, for a `<close>` variable that cancels it; its error is never reported. */
static int fn_scoped(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    task_spawn(L, lua_gettop(L) - 1, NULL)->record.quiet = true;
    return 1;
}

static int slept(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    return task_resumed() == WAKE_CANCELLED ? task_raise(L) : 0;
}

int task_sleep(lua_State *L) {
    usage_check_dot(L, "number");
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
    if (scheduler.current == NULL) {
        lua_pushnil(L);
    } else {
        task_push(L, scheduler.current);
    }
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
    {"condition", condition_new},
    {"adopt_traceback", report_adopt_traceback},
    {"origins", report_add_spawn_trace},
    {"message", traceback_message},
    {"explain", traceback_explain},
    {"named", fn_named},
    {"scoped", fn_scoped},
    {NULL, NULL},
};

int task_open(lua_State *L) {
    task_objects_open(L, methods);
    condition_open(L);
    luaL_newlib(L, functions);
    task_make_cancelled_value(L);
    lua_setfield(L, -2, "cancelled");
    return 1;
}
