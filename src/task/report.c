/* SPDX-License-Identifier: MIT
 *
 * Reports of errors that no task joins. An error is reported at once, to the function that the
 * script gave to lariat.onerror or on standard error, with the traceback of where it was raised and
 * the lines that spawned the task, its spawner, and so on. It counts for the exit status until a
 * later join raises it.
 *
 * Invariant: an error that ends a task is either reported here or raised in a task that joins it;
 * if that task is cancelled before it has raised the error, it is reported then. Printing never
 * raises.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <stdio.h>

#include "task/traceback.h"
#include "task/usage.h"

static const char onerror_key; /* its address is the function's key in the registry */

/* The arguments of onerror: error, traceback, title, and the task or nil. */
enum { ERROR = 1, TRACEBACK, TITLE, TASK, ARGUMENTS = TASK };

/* Calls onerror with the four values on top, or prints them; removes them. */
static void tell(lua_State *L) {
    int base = lua_gettop(L) - ARGUMENTS;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &onerror_key) == LUA_TFUNCTION) {
        for (int i = 1; i <= ARGUMENTS; i++) {
            lua_pushvalue(L, base + i);
        }
        if (lua_pcall(L, ARGUMENTS, 0, 0) == LUA_OK) {
            lua_settop(L, base);
            return;
        }
        traceback_push_message(L, -1);
        lua_writestringerror("lariat: error in onerror: %s\n", lua_tostring(L, -1));
    }
    const char *title = lua_tostring(L, base + TITLE);
    fflush(stdout);
    lua_writestringerror(*title ? "lariat: %s: " : "lariat: ", title);
    lua_writestringerror("%s\n", lua_tostring(L, base + TRACEBACK));
    lua_settop(L, base);
}

/* ---- what is kept of an error: {error, traceback} ---- */

enum { FAILURE_ERROR = 1, FAILURE_TRACEBACK };

/* Stores an error and, on top, its traceback in the object; removes both. */
static void set_failure(lua_State *L, int object) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -3);
    lua_rawseti(L, -3, FAILURE_TRACEBACK);
    lua_rawseti(L, -2, FAILURE_ERROR);
    lua_setiuservalue(L, object, TASK_FAILURE);
}

static void push_failure(lua_State *L, int object, int what) {
    if (lua_getiuservalue(L, object, TASK_FAILURE) != LUA_TNIL) {
        lua_rawgeti(L, -1, what);
        lua_remove(L, -2);
    }
}

void task_push_traceback(lua_State *L, int object) {
    push_failure(L, object, FAILURE_TRACEBACK);
}

/* Message handler of a task's body and of scopes: leaves the error as it is, and stores the
 * traceback of where it was first raised in the task's object. */
int task_keep_traceback(lua_State *L) {
    struct task *task = scheduler.current;
    if (task_is_cancelled_value(L, 1)) {
        return 1;
    }
    task_push(L, task);
    push_failure(L, 2, FAILURE_ERROR);
    if (lua_isnil(L, 3) || !lua_rawequal(L, 1, 3)) {
        lua_pushvalue(L, 1);
        traceback_push_message(L, 1);
        traceback_push(L, L, lua_tostring(L, -1), 1);
        lua_remove(L, -2);
        set_failure(L, 2);
    }
    lua_settop(L, 1);
    return 1;
}

/* Appends to the traceback on top the lines that spawned the task, its spawner, ... */
static void add_spawn_trace(lua_State *L, const struct task_record *record) {
    bool first = true;
    struct spawn_trace trace = *spawn_trace_of(record->spawn_trace);
    for (int i = 0; i < SPAWN_TRACE_LINES; i++) {
        if (trace.lines[i].file == 0) {
            continue;
        }
        lua_pushstring(L, first ? "\nspawn traceback:\n\t" : "\n\t");
        first = false;
        location_push(L, trace.lines[i]);
        lua_concat(L, 3);
    }
}

void report_unjoined(lua_State *L, int object) {
    struct task_record *record = task_record(lua_touserdata(L, object));
    record->reported = record->told = true;
    scheduler.unjoined_errors++;
    lua_pushvalue(L, -1);
    task_push_traceback(L, object);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        traceback_push_message(L, -1);
    }
    add_spawn_trace(L, record);
    if (record->main) {
        lua_pushliteral(L, "");
    } else {
        task_push_name_of(L, object);
        location_push(L, spawn_trace_of(record->spawn_trace)->lines[0]);
        lua_pushfstring(L, "error in task %s (spawned at %s)", lua_tostring(L, -2),
                        lua_tostring(L, -1));
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    lua_pushvalue(L, object);
    tell(L);
}

/* ---- for lua/lariat ---- */

/* onerror(f): calls f(error, traceback, title, task) from now on, instead of printing; nil: prints
 * again -> the function before */
int report_onerror(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) {
        usage_check_dot(L, "function");
        luaL_checktype(L, 1, LUA_TFUNCTION);
    }
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &onerror_key);
    lua_insert(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &onerror_key);
    return 1;
}

/* report(error, title, traceback): reports an error that ends neither a task nor the program */
int report_error(lua_State *L) {
    luaL_checkstring(L, 2);
    luaL_optstring(L, 3, "");
    lua_settop(L, 3);
    lua_pushvalue(L, 1);
    if (lua_isnil(L, 3)) {
        luaL_tolstring(L, 1, NULL); /* a memory error has no traceback */
    } else {
        lua_pushvalue(L, 3);
    }
    lua_pushvalue(L, 2);
    lua_pushnil(L);
    tell(L);
    return 0;
}

/* origins(task, traceback) -> the traceback with the lines that spawned the task, its spawner,
 * ... */
int report_add_spawn_trace(lua_State *L) {
    struct task_object *object = task_check(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    add_spawn_trace(L, task_record(object));
    return 1;
}

/* adopt_traceback(error, traceback): the traceback to report if the current task ends with
 * `error` */
int report_adopt_traceback(lua_State *L) {
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    task_push(L, scheduler.current);
    lua_insert(L, 1);
    set_failure(L, 1);
    return 0;
}
