/* SPDX-License-Identifier: MIT
 *
 * A `require` in which a module may wait while it loads, for example to connect. Rules and messages
 * are those of Lua 5.4's own, which calls the loader where Lua cannot yield.
 *
 * Invariant: while one task loads a module, another task that requires it waits. However the
 * loading ends, a to-be-closed variable of this function wakes the tasks that wait.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <lualib.h>

#include "base/clock.h"

#define LOADING_TYPE "lariat.loading"

struct loading {
    struct waitq waiters;
    struct task *task;
};

/* The stack of a call of require; and its upvalues: the table `package`, and a table of the names
 * being loaded -> struct loading. */
enum { NAME = 1, LOADED, DATA, GUARD, LOADER };
#define PACKAGE lua_upvalueindex(1)
#define LOADING lua_upvalueindex(2)

/* ---- names being loaded ---- */

static int loading_close(lua_State *L) {
    struct loading *loading = luaL_checkudata(L, 1, LOADING_TYPE);
    lua_getiuservalue(L, 1, 2);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_touserdata(L, -1) == loading) {
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_rawset(L, -3);
    }
    waitq_wake_all(&loading->waiters, WAKE_READY);
    return 0;
}

static void mark_loading(lua_State *L) {
    struct loading *loading = lua_newuserdatauv(L, sizeof(*loading), 2);
    *loading = (struct loading){.task = scheduler.current};
    luaL_setmetatable(L, LOADING_TYPE);
    lua_pushvalue(L, NAME);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, LOADING);
    lua_setiuservalue(L, -2, 2);
    lua_pushvalue(L, NAME);
    lua_pushvalue(L, -2);
    lua_rawset(L, LOADING);
    lua_toclose(L, -1);
}

static struct loading *being_loaded(lua_State *L) {
    lua_pushvalue(L, NAME);
    lua_rawget(L, LOADING);
    return lua_touserdata(L, -1); /* it stays on the stack, which keeps it during the wait */
}

/* ---- finding ---- */

/* Pushes the loader and its data; raises if no searcher knows the name. */
static void find_loader(lua_State *L, const char *name) {
    luaL_Buffer messages;
    lua_pushvalue(L, PACKAGE);
    if (lua_getfield(L, -1, "searchers") != LUA_TTABLE) {
        luaL_error(L, "'package.searchers' must be a table");
    }
    int searchers = lua_gettop(L);
    luaL_buffinit(L, &messages);
    for (lua_Integer i = 1;; i++) {
        if (lua_rawgeti(L, searchers, i) == LUA_TNIL) {
            lua_pop(L, 1);
            luaL_pushresult(&messages);
            luaL_error(L, "module '%s' not found:%s", name, lua_tostring(L, -1));
        }
        lua_pushstring(L, name);
        lua_call(L, 1, 2);
        if (lua_isfunction(L, -2)) {
            lua_replace(L, searchers);     /* data */
            lua_replace(L, searchers - 1); /* loader */
            lua_settop(L, searchers);
            return;
        }
        lua_pop(L, 1);
        if (lua_isstring(L, -1)) {
            lua_pushliteral(L, "\n\t");
            lua_insert(L, -2);
            lua_concat(L, 2);
            luaL_addvalue(&messages);
        } else {
            lua_pop(L, 1);
        }
    }
}

/* ---- require ---- */

static int loaded(lua_State *L, int status, lua_KContext ctx) {
    const char *name = lua_tostring(L, NAME);
    (void)status, (void)ctx;
    if (!lua_isnil(L, -1)) {
        lua_setfield(L, LOADED, name);
    } else {
        lua_pop(L, 1);
    }
    if (lua_getfield(L, LOADED, name) == LUA_TNIL) {
        lua_pushboolean(L, 1);
        lua_copy(L, -1, -2);
        lua_setfield(L, LOADED, name);
    }
    lua_pushvalue(L, DATA);
    return 2;
}

static int load_module(lua_State *L) {
    lua_settop(L, DATA);
    mark_loading(L);                       /* at GUARD, where it must stay */
    find_loader(L, lua_tostring(L, NAME)); /* at LOADER, and its data behind */
    lua_copy(L, -1, DATA);
    lua_pushvalue(L, NAME);
    lua_insert(L, LOADER + 1);
    lua_callk(L, 2, 1, 0, loaded);
    return loaded(L, LUA_OK, 0);
}

static int require_again(lua_State *L, int status, lua_KContext ctx);

static int require_name(lua_State *L) {
    lua_settop(L, LOADED);
    lua_getfield(L, LOADED, lua_tostring(L, NAME));
    if (lua_toboolean(L, -1)) {
        return 1;
    }
    lua_pop(L, 1);
    struct loading *loading = being_loaded(L);
    if (loading == NULL || loading->task == scheduler.current || !task_can_wait(L)) {
        return load_module(L);
    }
    struct task *task = scheduler.current;
    task_prepare(L, "require");
    waitq_join(&loading->waiters, &task->interest, task, false);
    return task_park(L, "require", NEVER, false, 0, require_again);
}

static int require_again(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    return task_resumed() == WAKE_CANCELLED ? task_raise(L) : require_name(L);
}

/* require(name) -> module, loader data */
static int require(lua_State *L) {
    luaL_checkstring(L, NAME);
    lua_settop(L, NAME);
    lua_tostring(L, NAME);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    return require_name(L);
}

void require_install(lua_State *L) {
    luaL_newmetatable(L, LOADING_TYPE);
    lua_pushcfunction(L, loading_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    lua_getglobal(L, LUA_LOADLIBNAME);
    lua_newtable(L);
    lua_pushcclosure(L, require, 2);
    lua_setglobal(L, "require");
}
