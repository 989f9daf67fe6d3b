/* SPDX-License-Identifier: MIT
 *
 * Lua's debug library, less what would let a script reach into the runtime: the stack of a C function
 * that waits, and the upvalues of one, hold what the runtime relies on (the task that waits, the
 * memory its places lie in, the text it sends). They can be looked at, not set; to debug.setlocal and
 * debug.setupvalue C functions have nothing that could be. Everything else is as in Lua 5.4.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#include "task/task.h"

#define OURS "lariat." /* how the type names of the runtime's objects begin */

/* setlocal([thread,] level, local, value) -> its name, or nil if there is none */
static int debug_setlocal(lua_State *L) {
    lua_Debug frame;
    lua_State *of = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    int arg = lua_isthread(L, 1) ? 1 : 0;
    int level = (int)luaL_checkinteger(L, arg + 1);
    int n = (int)luaL_checkinteger(L, arg + 2);
    luaL_argcheck(L, lua_getstack(of, level, &frame), arg + 1, "level out of range");
    luaL_checkany(L, arg + 3);
    lua_settop(L, arg + 3);
    lua_getinfo(of, "S", &frame);
    if (*frame.what == 'C') {
        lua_pushnil(L);
        return 1;
    }
    if (of != L && !lua_checkstack(of, 1)) {
        return luaL_error(L, "stack overflow");
    }
    lua_xmove(L, of, 1);
    const char *name = lua_setlocal(of, &frame, n);
    if (name == NULL) {
        lua_pop(of, 1);
    }
    lua_pushstring(L, name);
    return 1;
}

/* setupvalue(f, n, value) -> its name, or nothing if there is none */
static int debug_setupvalue(lua_State *L) {
    luaL_checkany(L, 3);
    int n = (int)luaL_checkinteger(L, 2);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 3);
    const char *name = lua_iscfunction(L, 1) ? NULL : lua_setupvalue(L, 1, n);
    if (name == NULL) {
        return 0;
    }
    lua_pushstring(L, name);
    return 1;
}

/* setuservalue(object, value [, n]) -> the object, or nil if it has no such value. What the runtime's
 * own objects keep alive by theirs is not the script's. */
static int debug_setuservalue(lua_State *L) {
    int n = (int)luaL_optinteger(L, 3, 1);
    luaL_checktype(L, 1, LUA_TUSERDATA);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    bool ours = luaL_getmetafield(L, 1, "__name") == LUA_TSTRING &&
                strncmp(lua_tostring(L, -1), OURS, sizeof(OURS) - 1) == 0;
    lua_settop(L, 2);
    if (ours || !lua_setiuservalue(L, 1, n)) {
        lua_pushnil(L);
    }
    return 1;
}

void debug_install(lua_State *L) {
    static const luaL_Reg functions[] = {{"setlocal", debug_setlocal},
                                         {"setupvalue", debug_setupvalue},
                                         {"setuservalue", debug_setuservalue},
                                         {NULL, NULL}};
    lua_getglobal(L, LUA_DBLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
