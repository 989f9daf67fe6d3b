/* SPDX-License-Identifier: MIT
 *
 * What becomes of errors that nobody joins: each is told at once, to the function that the script
 * gave to lariat.onerror or on standard error, with the traceback of where it was raised and the
 * lines that spawned the task, its spawner, and so on. It counts for the exit status until a join
 * raises it after all.
 *
 * Invariant: an error that ends a task is told here or raised in a task that joins it; if the one
 * that was to raise it is cancelled, it is told here then. Printing never raises.
 */
#include <lauxlib.h>
#include <stdio.h>

#include "module.h"
#include "runtime.h"
#include "task.h"
#include "traceback.h"

static const char onerror_key; /* its address names the function in the registry */

/* What onerror is given: error, traceback, title, and the task if there is one. */
enum { ERROR = 1, TRACEBACK, TITLE, TASK, ARGUMENTS = TASK };

/* With those four on top. */
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

/* Of the error and, on top, the traceback: both are taken. */
static void set_failure(lua_State *L, int handle) {
    lua_createtable(L, 2, 0);
    lua_insert(L, -3);
    lua_rawseti(L, -3, FAILURE_TRACEBACK);
    lua_rawseti(L, -2, FAILURE_ERROR);
    lua_setiuservalue(L, handle, TASK_FAILURE);
}

static void push_failure(lua_State *L, int handle, int what) {
    if (lua_getiuservalue(L, handle, TASK_FAILURE) != LUA_TNIL) {
        lua_rawgeti(L, -1, what);
        lua_remove(L, -2);
    }
}

void task_push_traceback(lua_State *L, int handle) {
    push_failure(L, handle, FAILURE_TRACEBACK);
}

/* Message handler of a task's body and of scopes: keeps the error as it is, and the traceback of
 * where it was raised first beside it. */
int task_keep_traceback(lua_State *L) {
    struct task *task = rt.tasks.current;
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

/* The traceback on top gets the lines of those that spawned the task's spawner. */
static void add_origins(lua_State *L, const struct fate *fate) {
    bool first = true;
    struct origin origin = *origin_of(fate->origin);
    for (int i = 0; i < ORIGIN_LINES; i++) {
        if (origin.lines[i].file == 0) {
            continue;
        }
        lua_pushstring(L, first ? "\nspawn traceback:\n\t" : "\n\t");
        first = false;
        place_push(L, origin.lines[i]);
        lua_concat(L, 3);
    }
}

void report_unjoined(lua_State *L, int handle) {
    struct fate *fate = task_fate(lua_touserdata(L, handle));
    fate->reported = fate->told = true;
    rt.tasks.unjoined_errors++;
    lua_pushvalue(L, -1);
    task_push_traceback(L, handle);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        traceback_push_message(L, -1);
    }
    add_origins(L, fate);
    if (fate->main) {
        lua_pushliteral(L, "");
    } else {
        task_push_name_of(L, handle);
        place_push(L, origin_of(fate->origin)->lines[0]);
        lua_pushfstring(L, "error in task %s (spawned at %s)", lua_tostring(L, -2),
                        lua_tostring(L, -1));
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    lua_pushvalue(L, handle);
    tell(L);
}

/* ---- for lua/lariat ---- */

/* onerror(f): from now on f(error, traceback, title, task) instead of printing -> what it was */
int report_onerror(lua_State *L) {
    if (!lua_isnoneornil(L, 1)) {
        module_check_dot(L, "function");
        luaL_checktype(L, 1, LUA_TFUNCTION);
    }
    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &onerror_key);
    lua_insert(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &onerror_key);
    return 1;
}

/* report(error, title, traceback): of an error that ends neither a task nor the program */
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

/* origins(task, traceback) -> the traceback, and the lines that spawned the task, its spawner, ... */
int report_origins(lua_State *L) {
    struct task_handle *handle = task_check(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    add_origins(L, task_fate(handle));
    return 1;
}

/* adopt_traceback(error, traceback): what is printed with this error if nobody joins this task */
int report_adopt_traceback(lua_State *L) {
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    task_push(L, rt.tasks.current);
    lua_insert(L, 1);
    set_failure(L, 1);
    return 0;
}
