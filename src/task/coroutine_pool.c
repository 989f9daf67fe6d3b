/* SPDX-License-Identifier: MIT
 *
 * The pool of coroutines for tasks. A coroutine whose function has returned is kept for the next
 * task: making and collecting coroutines is half of what a short connection costs in Lua (4,700
 * instructions per connection, 2,800 with the pool).
 *
 * Invariant: a script cannot distinguish a pooled coroutine from a new one. It has ended without an
 * error, no scope is open in it, its task has no object, and no script has seen it (one might have
 * used it as a key). An exact state makes each coroutine anew: the address of an object must not
 * depend on what ran before.
 */
#include "task/coroutine_pool.h"

#include <lauxlib.h>

#include "base/state.h"

#define POOL_SIZE 64 /* as many as one turn accepts connections */

static struct {
    lua_State *co;
    int anchor;
} pool[POOL_SIZE];
static unsigned count;

lua_State *coroutine_pool_take(lua_State *L, int *anchor) {
    lua_State *co;
    if (count > 0) {
        co = pool[--count].co;
        *anchor = pool[count].anchor;
        lua_sethook(co, lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L));
    } else {
        co = lua_newthread(L);
        *anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    *co_marks(co) = CO_IN_RUNTIME | CO_TASK;
    return co;
}

void coroutine_pool_give_back(lua_State *co, int anchor, bool again) {
    if (again && count < POOL_SIZE && !rt.exact && !rt.closing &&
        *co_marks(co) == (CO_IN_RUNTIME | CO_TASK)) {
        lua_settop(co, 0);
        pool[count].co = co;
        pool[count++].anchor = anchor;
    } else {
        luaL_unref(rt.L, LUA_REGISTRYINDEX, anchor);
    }
}
