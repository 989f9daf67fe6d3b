/* SPDX-License-Identifier: MIT
 *
 * A gate: a queue of tasks that wait until another task says so. Nothing more than a waiter queue
 * made visible to lua/lariat, where everything that tasks wait for among themselves is built.
 */
#include <lauxlib.h>

#include "module.h"
#include "task/task.h"
#include "base/clock.h"

#define GATE_TYPE "lariat.gate"

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

struct waitq *gate_test(lua_State *L, int index) {
    return luaL_testudata(L, index, GATE_TYPE);
}

/* wait([seconds [, what]]) -> true | nil, "timeout" */
static int gate_wait(lua_State *L) {
    struct waitq *gate = luaL_checkudata(L, 1, GATE_TYPE);
    double seconds = luaL_optnumber(L, 2, -1);
    const char *what = luaL_optstring(L, 3, "wait");
    task_prepare(L, what);
    struct task *task = scheduler.current;
    waitq_join(gate, &task->interest, task, false);
    return task_park(L, what, clock_after(seconds), false, 0, waited);
}

/* wake([n]): the first n waiting tasks, or all */
static int gate_wake(lua_State *L) {
    struct waitq *gate = luaL_checkudata(L, 1, GATE_TYPE);
    lua_Integer n = luaL_optinteger(L, 2, LUA_MAXINTEGER);
    lua_Integer woken = 0;
    while (woken < n && waitq_wake_first(gate, WAKE_READY)) {
        woken++;
    }
    lua_pushinteger(L, woken);
    return 1;
}

int gate_new(lua_State *L) {
    struct waitq *gate = lua_newuserdatauv(L, sizeof(*gate), 0);
    *gate = (struct waitq){NULL};
    luaL_setmetatable(L, GATE_TYPE);
    return 1;
}

void gate_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"wait", gate_wait}, {"wake", gate_wake}, {NULL, NULL}};
    luaL_newmetatable(L, GATE_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
