/* SPDX-License-Identifier: MIT
 *
 * task.cancelled, the value that a cancelled wait raises. Invariant: each Lua state has exactly
 * one, also if the module is opened again for another set of globals, so it is compared by
 * identity.
 */
#include "task/task.h"

#include <lauxlib.h>

static const char cancelled_key; /* its address is the value's key in the registry */

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

static int cancelled_tostring(lua_State *L) {
    lua_pushliteral(L, "task.cancelled");
    return 1;
}

static void make(lua_State *L) {
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, cancelled_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "task.cancelled");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &cancelled_key);
}

void task_make_cancelled_value(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &cancelled_key) == LUA_TNIL) {
        lua_pop(L, 1);
        make(L);
        task_push_cancelled_value(L);
    }
}
