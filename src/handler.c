/* SPDX-License-Identifier: MIT
 *
 * The tasks of a server: each runs a handler with one connection, and then tells the server that it
 * has ended. There may be very many, nearly all of them waiting, so one has no Lua function of ours
 * below the handler, no closure and no entry in a table.
 *
 * Invariant: however a handler is left, by an error, a cancellation or its own end, `ended` is
 * called, in its task and where nothing can wait. A server's tasks are those whose parent is its
 * function `ended`.
 */
#include <lauxlib.h>

#include "module.h"
#include "runtime.h"
#include "socket.h"
#include "task.h"

/* Stack of a task's body once it has begun. */
enum { MESSAGE_HANDLER = 1, CONNECTION, HANDLER };

/* Calls ended(connection, error, traceback); the last two are nil unless it has failed. */
static void tell_server(lua_State *L, const struct task *task) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->handle);
    int handle = lua_gettop(L);
    lua_getiuservalue(L, handle, TASK_PARENT);
    lua_pushvalue(L, CONNECTION);
    if (task->outcome == TASK_FAILED) {
        lua_pushvalue(L, HANDLER);
        task_push_traceback(L, handle);
    } else {
        lua_pushnil(L);
        lua_pushnil(L);
    }
    lua_call(L, 3, 0);
}

static int handled(lua_State *L, int status, lua_KContext ctx) {
    struct task *task = rt.tasks.current;
    (void)ctx;
    task->outcome = status == LUA_OK || status == LUA_YIELD ? TASK_RETURNED
                    : task_is_cancelled_value(L, HANDLER)   ? TASK_CANCELLED
                                                            : TASK_FAILED;
    tell_server(L, task);
    lua_settop(L, HANDLER);
    return task->outcome == TASK_RETURNED ? 0 : 1;
}

/* (handler, connection) */
static int body(lua_State *L) {
    lua_pushcfunction(L, task_keep_traceback);
    lua_insert(L, MESSAGE_HANDLER);
    lua_pushvalue(L, -1);
    lua_insert(L, CONNECTION);
    return handled(L, lua_pcallk(L, 1, 0, MESSAGE_HANDLER, 0, handled), 0);
}

/* start(name, ended, handler, connection): a task for the connection */
static int start(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    struct socket_box *box = socket_test(L, 4);
    luaL_argcheck(L, box != NULL && box->socket != NULL, 4, "open socket expected");
    lua_settop(L, 4);
    struct task *task = task_start(L, body, 1, name, box->socket->made_at);
    task->quiet = true;
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, TASK_PARENT);
    return 0;
}

/* cancel(ended): every task of that server */
static int cancel(lua_State *L) {
    lua_settop(L, 1);
    for (struct task *task = rt.tasks.all; task != NULL; task = task->all_next) {
        task_push(L, task);
        lua_getiuservalue(L, -1, TASK_PARENT);
        if (lua_rawequal(L, 1, -1)) {
            task_cancel(task);
        }
        lua_settop(L, 1);
    }
    return 0;
}

int handler_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"start", start}, {"cancel", cancel}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
