/* SPDX-License-Identifier: MIT
 *
 * The script's rule: a function that is called for every packet between two machines, and decides
 * whether it is delivered, dropped, delayed or duplicated, or breaks its connection.
 *
 * Invariants: it is called between ticks, not within the call that sends, so it may use sockets. It runs
 * on a coroutine of its own, in which no task runs, so it cannot wait. It may replace itself: the
 * coroutines stay anchored until the run ends.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/state.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/stream.h"
#include "task/traceback.h"

static struct {
    lua_State *now; /* has the rule at the bottom of its stack; NULL: there is none */
    int anchor;     /* registry reference to the list of coroutines, or LUA_NOREF */
} rule = {.anchor = LUA_NOREF};

void rule_set(lua_State *L, int index) {
    rule.now = NULL;
    if (lua_isnoneornil(L, index)) {
        return;
    }
    if (rule.anchor == LUA_NOREF) {
        lua_newtable(L);
        rule.anchor = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rule.anchor);
    rule.now = lua_newthread(L);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_xmove(L, rule.now, 1);
}

bool rule_is_set(void) {
    return rule.now != NULL;
}

void rule_close(void) {
    luaL_unref(rt.L, LUA_REGISTRYINDEX, rule.anchor);
    rule.anchor = LUA_NOREF;
    rule.now = NULL;
}

/* ---- its argument ---- */

static void set_string(lua_State *L, const char *field, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

/* Pushes the packet's data. Packets without data have an empty string, so that a rule may search the
 * data of any packet. */
static void push_data(lua_State *L, const struct packet *p) {
    bool carries = p->kind == PACKET_DATAGRAM || p->kind == PACKET_DATA;
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (size_t i = 0; carries && i < p->size; i++) {
        size_t at = (size_t)(p->sequence + i);
        luaL_addchar(&buffer, p->kind == PACKET_DATA ? p->flow->ring[at & (p->flow->capacity - 1)]
                                                     : p->data[i]);
    }
    luaL_pushresult(&buffer);
}

static void push_packet(lua_State *L, const struct packet *p) {
    lua_createtable(L, 0, 9);
    lua_pushnumber(L, (double)(sim.now - SIM_BOOT) / 1e9);
    lua_setfield(L, -2, "time");
    set_string(L, "from", p->from->name);
    set_string(L, "to", p->to->name);
    set_string(L, "kind", packet_kind_name(p->kind));
    set_integer(L, "size", p->size);
    set_integer(L, "source", p->source.port);
    set_integer(L, "target", p->target.port);
    set_integer(L, "attempt", p->attempt + 1);
    push_data(L, p);
    lua_setfield(L, -2, "data");
}

/* ---- its results ---- */

static bool read_delay(lua_State *L, int index, struct ruling *ruling) {
    lua_Number seconds = lua_tonumber(L, index);
    ruling->delay = seconds > 0 && seconds < 1e9 ? (uint64_t)(seconds * 1e9) : 0;
    return lua_type(L, index) == LUA_TNUMBER && seconds >= 0 && seconds < 1e9;
}

static bool read_ruling(lua_State *L, struct ruling *ruling) {
    const char *word = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (lua_type(L, 2) == LUA_TNUMBER) {
        return read_delay(L, 2, ruling);
    }
    if (strcmp(word, "delay") == 0) {
        return read_delay(L, 3, ruling);
    }
    ruling->drop = strcmp(word, "drop") == 0;
    ruling->duplicate = strcmp(word, "duplicate") == 0;
    ruling->reset = strcmp(word, "reset") == 0;
    bool deliver = strcmp(word, "deliver") == 0 || lua_isnoneornil(L, 2);
    return deliver || ruling->drop || ruling->duplicate || ruling->reset;
}

static int call_rule(lua_State *L) {
    struct packet *p = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    push_packet(L, p);
    lua_call(L, 1, LUA_MULTRET);
    return lua_gettop(L) - 1;
}

/* A rule that raises an error, or returns none of the known words, ends the run. */
struct ruling rule_ask(struct packet *p) {
    struct ruling ruling = {0};
    lua_State *L = rule.now;
    if (L == NULL) {
        return ruling;
    }
    lua_pushcfunction(L, call_rule);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, p);
    if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
        traceback_push_message(L, -1);
        sim_fail("error in the rule: %s", lua_tostring(L, -1));
    } else if (!read_ruling(L, &ruling)) {
        sim_fail("a rule returns \"deliver\", \"drop\", \"delay\" and seconds, \"duplicate\" or "
                 "\"reset\", not %s",
                 lua_isstring(L, 2) ? lua_tostring(L, 2) : luaL_typename(L, 2));
    }
    lua_settop(L, 1);
    return ruling;
}
