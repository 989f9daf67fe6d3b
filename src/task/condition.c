/* SPDX-License-Identifier: MIT
 *
 * Conditions: a condition is a queue of tasks that wait until another task wakes them. It is a
 * struct waitq as a userdata; lua/lariat/internal builds locks, channels and the like from it.
 */
#include "task/task.h"

#include <lauxlib.h>

#include "base/clock.h"

#define CONDITION_TYPE "lariat.condition"

static int waited(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    switch (task_resumed()) {
    case WAKE_CANCELLED: return task_raise(L);
    case WAKE_DEADLINE:
        lua_pushnil(L);
        lua_pushliteral(L, "timeout");
        return 2;
    default: lua_pushboolean(L, 1); return 1;
    }
}

struct waitq *condition_test(lua_State *L, int index) {
    return luaL_testudata(L, index, CONDITION_TYPE);
}

/* wait([seconds [, what]]) -> true | nil, "timeout"; `what` names the wait in messages and dumps */
static int condition_wait(lua_State *L) {
    struct waitq *condition = luaL_checkudata(L, 1, CONDITION_TYPE);
    double seconds = luaL_optnumber(L, 2, -1);
    const char *what = luaL_optstring(L, 3, "wait");
    task_prepare(L, what);
    struct task *task = scheduler.current;
    waitq_join(condition, &task->interest, task, false);
    return task_park(L, what, clock_after(seconds), false, 0, waited);
}

/* wake([n]): wakes the first n waiting tasks, or all -> how many */
static int condition_wake(lua_State *L) {
    struct waitq *condition = luaL_checkudata(L, 1, CONDITION_TYPE);
    lua_Integer n = luaL_optinteger(L, 2, LUA_MAXINTEGER);
    lua_Integer woken = 0;
    while (woken < n && waitq_wake_first(condition, WAKE_READY)) {
        woken++;
    }
    lua_pushinteger(L, woken);
    return 1;
}

int condition_new(lua_State *L) {
    struct waitq *condition = lua_newuserdatauv(L, sizeof(*condition), 0);
    *condition = (struct waitq){NULL};
    luaL_setmetatable(L, CONDITION_TYPE);
    return 1;
}

void condition_open(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"wait", condition_wait}, {"wake", condition_wake}, {NULL, NULL}};
    luaL_newmetatable(L, CONDITION_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
