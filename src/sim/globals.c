/* SPDX-License-Identifier: MIT
 *
 * Globals of machines that run scripts: each such machine gets fresh globals, loaded modules and
 * libraries in the same Lua state. Before a task is resumed, those of its machine are put in force.
 *
 * Invariant: between runs, and for machines that run a function, the globals of the world outside are
 * in force. The metatable of strings is shared by all.
 */
#include <lauxlib.h>
#include <lualib.h>

#include "base/state.h"
#include "sim/machine.h"
#include "sim/run.h"
#include "sim/sim.h"

enum { GLOBALS = 1, LOADED, PRELOAD };

static struct {
    int home;    /* registry reference to those of the world outside */
    int present; /* registry reference to those in force */
    void (*fill)(lua_State *L);
} state = {LUA_NOREF, LUA_NOREF, NULL};

void globals_fill_with(void (*open)(lua_State *L)) {
    state.fill = open;
}

/* Pushes {globals, loaded, preload} as they are in force. */
static void push_present(lua_State *L) {
    lua_createtable(L, 3, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_rawseti(L, -2, GLOBALS);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_rawseti(L, -2, LOADED);
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_rawseti(L, -2, PRELOAD);
}

static void put_in_force(lua_State *L, int reference) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
    lua_rawgeti(L, -1, GLOBALS);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_rawgeti(L, -1, LOADED);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_rawgeti(L, -1, PRELOAD);
    lua_setfield(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pop(L, 1);
    state.present = reference;
}

void globals_open(lua_State *L) {
    push_present(L);
    state.home = state.present = luaL_ref(L, LUA_REGISTRYINDEX);
}

void globals_close(lua_State *L) {
    put_in_force(L, state.home);
    luaL_unref(L, LUA_REGISTRYINDEX, state.home);
    state.home = state.present = LUA_NOREF;
}

void sim_task_enters(const struct task *task) {
    const struct machine *m = machine_of(task->domain);
    int wanted = m->globals != LUA_NOREF ? m->globals : state.home;
    if (wanted != state.present) {
        put_in_force(rt.L, wanted);
    }
}

void globals_make(lua_State *L, struct machine *m) {
    int before = state.present;
    luaL_unref(L, LUA_REGISTRYINDEX, m->globals);
    lua_createtable(L, 3, 0);
    for (int i = GLOBALS; i <= PRELOAD; i++) {
        lua_newtable(L);
        lua_rawseti(L, -2, i);
    }
    m->globals = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    put_in_force(L, m->globals);
    luaL_openlibs(L);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
    state.fill(L);
    lua_pushglobaltable(L);
    put_in_force(L, before);
}
