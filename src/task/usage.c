/* SPDX-License-Identifier: MIT
 *
 * Hints in usage errors. The Lua half is lua/lariat/internal/usage.lua, loaded at its first use.
 */
#include "task/usage.h"

#include <lauxlib.h>

#include "task/location.h"

void usage_check_dot(lua_State *L, const char *expected) {
    if (lua_istable(L, 1) && luaL_getmetafield(L, 1, "__module") != LUA_TNIL) {
        const char *got = lua_pushfstring(L, "module '%s', whose functions are called with a dot",
                                          lua_tostring(L, -1));
        location_argerror(L, 1, lua_pushfstring(L, "%s expected, got %s", expected, got));
    }
}

void usage_push_function(lua_State *L, const char *module, const char *name) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, module) != LUA_TTABLE) {
        lua_pop(L, 1);
        luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
        lua_getfield(L, -1, module);
        lua_remove(L, -2);
        lua_call(L, 0, 1);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, module);
    }
    lua_getfield(L, -1, name);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

const char *usage_push_hint(lua_State *L, const char *name) {
    usage_push_function(L, "lariat.internal.usage", "hint");
    lua_insert(L, -2);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_call(L, 2, 1);
    return lua_tostring(L, -1);
}
