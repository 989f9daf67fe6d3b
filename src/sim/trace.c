/* SPDX-License-Identifier: MIT
 *
 * The trace: a record of every packet that is sent from one machine to another, and a hash of all
 * records and of the packets' data. The same seed and the same program give the same hash.
 * lua/lariat/internal/sim/ladder.lua makes text of the records.
 *
 * Invariant: what is found out when a packet arrives (it is refused, or the receiver's buffer is full)
 * changes its record and the hash. After MOST records only the hash is continued.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/state.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/stream.h"

#define MOST 2000000

struct record {
    uint64_t time, arrival; /* `arrival` is 0 if it does not arrive */
    uint64_t sequence;
    size_t size;
    unsigned from, to; /* numbers of machines; `to` is UINT32_MAX if none has the address */
    unsigned source, target;
    unsigned attempt;
    unsigned char kind, verdict;
    bool copy;
};

#define TRACE_TYPE "lariat.trace"

/* A userdata, so that it outlives its run. */
struct trace {
    struct record *records;
    size_t count, capacity;
    uint64_t hash;
    char (*names)[SIM_NAME]; /* of the machines, by number */
    unsigned name_count;
};

static struct trace *trace;  /* of the run under way */
static const char trace_key; /* its address is the trace's key in the registry */

static void mix(uint64_t value) {
    uint64_t hash = (trace->hash ^ value) * 0x9e3779b97f4a7c15u;
    trace->hash = hash ^ (hash >> 29);
}

static void mix_bytes(const char *data, size_t size) {
    uint64_t word;
    for (; size >= sizeof(word); data += sizeof(word), size -= sizeof(word)) {
        memcpy(&word, data, sizeof(word));
        mix(word);
    }
    word = 0;
    memcpy(&word, data, size);
    mix(word ^ (uint64_t)size << 56);
}

static void mix_flow(const struct flow *flow, uint64_t sequence, size_t size) {
    size_t at = (size_t)sequence & (flow->capacity - 1);
    size_t first = size < flow->capacity - at ? size : flow->capacity - at;
    mix_bytes(flow->ring + at, first);
    mix_bytes(flow->ring, size - first);
}

static void mix_packet(const struct packet *p, const struct record *r) {
    mix(r->time);
    mix(r->arrival);
    mix((uint64_t)r->from << 32 | r->to);
    mix((uint64_t)r->source << 48 | (uint64_t)r->target << 32 | (uint64_t)r->kind << 16 |
        (uint64_t)r->verdict << 8 | r->copy);
    mix(r->sequence);
    mix(r->size);
    if (p->kind == PACKET_DATAGRAM) {
        mix_bytes(p->data, p->size);
    } else if (p->kind == PACKET_DATA && p->sequence >= p->flow->taken) {
        mix_flow(p->flow, p->sequence, p->size);
    }
}

size_t trace_add(const struct packet *p, enum verdict verdict, uint64_t arrival) {
    struct record r = {
        .time = sim.now,
        .arrival = arrival,
        .sequence = p->sequence,
        .size = p->size,
        .from = p->from->id,
        .to = p->to ? p->to->id : UINT32_MAX,
        .source = p->source.port,
        .target = p->target.port,
        .attempt = p->attempt,
        .kind = (unsigned char)p->kind,
        .verdict = (unsigned char)verdict,
        .copy = p->copy,
    };
    mix_packet(p, &r);
    if (trace->count == MOST) {
        return SIZE_MAX;
    }
    if (trace->count == trace->capacity) {
        trace->capacity = trace->capacity ? 2 * trace->capacity : 1024;
        trace->records = memory_realloc(trace->records, trace->capacity * sizeof(*trace->records));
    }
    trace->records[trace->count] = r;
    return trace->count++;
}

void trace_amend(size_t record, enum verdict verdict) {
    mix((uint64_t)record << 8 | (uint64_t)verdict);
    trace->records[record].verdict = (unsigned char)verdict;
}

void trace_name(const char *name) {
    trace->names = memory_realloc(trace->names, (trace->name_count + 1) * sizeof(*trace->names));
    strcpy(trace->names[trace->name_count++], name);
}

/* ---- for Lua ---- */

const char *packet_kind_name(enum packet_kind kind) {
    static const char *const names[] = {"syn", "synack", "ack",      "data",
                                        "fin", "rst",    "datagram", "unreachable"};
    return names[kind];
}

static void set_time(lua_State *L, const char *field, uint64_t time) {
    lua_pushnumber(L, (double)(time - SIM_BOOT) / 1e9);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

static void set_string(lua_State *L, const char *field, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
}

static void push_record(lua_State *L, const struct trace *t, const struct record *r) {
    static const char *const verdicts[] = {"delivered", "lost",    "partitioned", "held", "ruled",
                                           "down",      "refused", "full",        "reset"};
    lua_createtable(L, 0, 12);
    set_time(L, "time", r->time);
    if (r->arrival != 0) {
        set_time(L, "arrival", r->arrival);
    }
    set_string(L, "from", t->names[r->from]);
    set_string(L, "to", r->to == UINT32_MAX ? "?" : t->names[r->to]);
    set_string(L, "kind", packet_kind_name(r->kind));
    set_string(L, "verdict", verdicts[r->verdict]);
    set_integer(L, "source", r->source);
    set_integer(L, "target", r->target);
    set_integer(L, "size", r->size);
    set_integer(L, "sequence", r->sequence);
    set_integer(L, "attempt", r->attempt + 1);
    if (r->copy) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "duplicate");
    }
}

/* list(trace) -> {{time=, from=, to=, kind=, ...}, ...}, in the order of sending */
static int fn_list(lua_State *L) {
    const struct trace *t = luaL_checkudata(L, 1, TRACE_TYPE);
    lua_createtable(L, (int)t->count, 0);
    for (size_t i = 0; i < t->count; i++) {
        push_record(L, t, &t->records[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* names(trace) -> the machines' names, in the order of their numbers */
static int fn_names(lua_State *L) {
    const struct trace *t = luaL_checkudata(L, 1, TRACE_TYPE);
    lua_createtable(L, (int)t->name_count, 0);
    for (unsigned i = 0; i < t->name_count; i++) {
        lua_pushstring(L, t->names[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* hash(trace) -> 16 hexadecimal digits */
static int fn_hash(lua_State *L) {
    const struct trace *t = luaL_checkudata(L, 1, TRACE_TYPE);
    char text[17];
    snprintf(text, sizeof(text), "%016llx", (unsigned long long)t->hash);
    lua_pushstring(L, text);
    return 1;
}

static int trace_gc(lua_State *L) {
    struct trace *t = luaL_checkudata(L, 1, TRACE_TYPE);
    memory_free(t->records);
    memory_free(t->names);
    memset(t, 0, sizeof(*t));
    return 0;
}

/* present() -> the trace of the run under way */
static int fn_present(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &trace_key);
    return 1;
}

void trace_open(lua_State *L) {
    trace = lua_newuserdatauv(L, sizeof(*trace), 0);
    memset(trace, 0, sizeof(*trace));
    luaL_setmetatable(L, TRACE_TYPE);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &trace_key);
}

void trace_close(void) {
    trace = NULL;
    lua_pushnil(rt.L);
    lua_rawsetp(rt.L, LUA_REGISTRYINDEX, &trace_key);
}

void trace_open_module(lua_State *L) {
    static const luaL_Reg functions[] = {{"list", fn_list},
                                         {"names", fn_names},
                                         {"hash", fn_hash},
                                         {"present", fn_present},
                                         {NULL, NULL}};
    luaL_newmetatable(L, TRACE_TYPE);
    lua_pushcfunction(L, trace_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
}
