/* SPDX-License-Identifier: MIT
 *
 * The coroutines of tasks. One that has come to its end is kept for the next task: to make a
 * coroutine, and to collect it, is half of what a short connection costs in Lua (4,700 instructions
 * a connection, 2,800 with spare ones).
 *
 * Invariant: nothing tells a spare coroutine from a new one. It has ended by itself and not by an
 * error, no scope is open in it, nobody has a handle of its task, and no script has seen it, which
 * might have kept something under its name. An exact state makes each anew: where an object lies
 * must not depend on what ran before.
 */
#include "spare.h"

#include <lauxlib.h>

#include "runtime.h"

#define SPARES 64 /* as many as a turn accepts */

static struct {
    lua_State *co;
    int anchor;
} spares[SPARES];
static unsigned count;

lua_State *spare_take(lua_State *L, int *anchor) {
    lua_State *co;
    if (count > 0) {
        co = spares[--count].co;
        *anchor = spares[count].anchor;
        lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
    } else {
        co = lua_newthread(L);
        *anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    *co_marks(co) = CO_IN_RUNTIME | CO_TASK;
    return co;
}

void spare_give_back(lua_State *co, int anchor, bool again) {
    if (again && count < SPARES && !rt.exact && !rt.closing &&
        *co_marks(co) == (CO_IN_RUNTIME | CO_TASK)) {
        lua_settop(co, 0);
        spares[count].co = co;
        spares[count++].anchor = anchor;
    } else {
        luaL_unref(rt.L, LUA_REGISTRYINDEX, anchor);
    }
}
