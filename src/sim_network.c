/* SPDX-License-Identifier: MIT
 *
 * What becomes of a packet. In this order: the script's rule, partitions and holds, then chance: loss,
 * delay, reordering, duplication. A lost packet of a stream stays with its sender's timer and is sent
 * again; a lost datagram is gone.
 *
 * Invariants: a packet belongs to the network from packet_send() on, and is freed by whoever ends its
 * journey. Without the reorder fault packets of one link arrive in the order in which they were sent.
 * Packets inside one machine take LOOPBACK_NS and have no other fate.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "runtime.h"
#include "sim.h"

#define LOOPBACK_NS 10000
#define MS 1000000ull

struct link {
    enum link_state state;
    unsigned outages; /* partitions by chance that lie over it */
    uint64_t last_arrival;
    struct packet *held_first, *held_last;
};

struct outage {
    struct event event;
    struct outage *next;
    struct machine *a, *b;
};

static struct {
    struct link **rows; /* rows[from][to], each as long as `lengths` says */
    unsigned *lengths;
    unsigned count;
    lua_State *rule; /* a coroutine with the script's rule at the bottom of its stack, or NULL */
    int rule_anchor;
    struct event weather; /* the next partition by chance */
    struct outage *outages;
} net = {.rule_anchor = LUA_NOREF};

/* ---- links ---- */

static struct link *link_between(const struct machine *from, const struct machine *to) {
    if (from->id >= net.count) {
        net.rows = runtime_realloc(net.rows, sim.machine_count * sizeof(*net.rows));
        net.lengths = runtime_realloc(net.lengths, sim.machine_count * sizeof(*net.lengths));
        for (; net.count < sim.machine_count; net.count++) {
            net.rows[net.count] = NULL;
            net.lengths[net.count] = 0;
        }
    }
    unsigned *length = &net.lengths[from->id];
    if (to->id >= *length) {
        struct link **row = &net.rows[from->id];
        *row = runtime_realloc(*row, sim.machine_count * sizeof(**row));
        memset(*row + *length, 0, (sim.machine_count - *length) * sizeof(**row));
        *length = sim.machine_count;
    }
    return &net.rows[from->id][to->id];
}

bool link_is_open(const struct machine *from, const struct machine *to) {
    const struct link *link = link_between(from, to);
    return from == to || (link->state == LINK_OPEN && link->outages == 0);
}

static void travel(struct packet *p, uint64_t extra);

void link_set(struct machine *from, struct machine *to, enum link_state state) {
    struct link *link = link_between(from, to);
    struct packet *held = link->held_first;
    link->state = state;
    if (state == LINK_HELD) {
        return;
    }
    link->held_first = link->held_last = NULL;
    while (held != NULL) {
        struct packet *p = held;
        held = p->next;
        if (state == LINK_OPEN) {
            travel(p, 0);
        } else {
            packet_send(p);
        }
    }
}

static void hold(struct link *link, struct packet *p) {
    p->next = NULL;
    *(link->held_first ? &link->held_last->next : &link->held_first) = p;
    link->held_last = p;
}

/* ---- partitions by chance ---- */

static void outage_over(struct event *event) {
    struct outage *outage = (struct outage *)event;
    link_between(outage->a, outage->b)->outages--;
    link_between(outage->b, outage->a)->outages--;
    for (struct outage **at = &net.outages; *at != NULL; at = &(*at)->next) {
        if (*at == outage) {
            *at = outage->next;
            break;
        }
    }
    runtime_free(outage);
}

static void begin_outage(struct machine *a, struct machine *b, uint64_t length) {
    struct outage *outage = runtime_alloc(sizeof(*outage));
    *outage = (struct outage){.event = {.idle = true, .fire = outage_over}, .a = a, .b = b};
    outage->next = net.outages;
    net.outages = outage;
    link_between(a, b)->outages++;
    link_between(b, a)->outages++;
    event_add(&outage->event, sim.now + length);
}

/* Draws the same numbers whether or not the fault is on. */
static void change_weather(struct event *event) {
    uint64_t a = chance_between(CHANCE_PARTITION, 0, sim.machine_count - 1);
    uint64_t b = chance_between(CHANCE_PARTITION, 0, sim.machine_count - 1);
    uint64_t length = chance_between(CHANCE_PARTITION, 20 * MS, 2000 * MS);
    uint64_t pause = chance_between(CHANCE_PARTITION, sim.faults.partition / 2,
                                    sim.faults.partition + sim.faults.partition / 2);
    if (a != b) {
        begin_outage(sim.machines[a], sim.machines[b], length);
    }
    event_add(event, sim.now + pause);
}

/* ---- the script's rule ---- */

static void set_string(lua_State *L, const char *field, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

/* A packet that carries none has an empty string, so that a rule may look for something in any. */
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

void network_set_rule(lua_State *L, int index) {
    luaL_unref(L, LUA_REGISTRYINDEX, net.rule_anchor);
    net.rule_anchor = LUA_NOREF;
    net.rule = NULL;
    if (!lua_isnoneornil(L, index)) {
        lua_pushvalue(L, index);
        lua_State *co = lua_newthread(L);
        net.rule_anchor = luaL_ref(L, LUA_REGISTRYINDEX);
        lua_xmove(L, co, 1);
        net.rule = co;
    }
}

struct ruling {
    bool drop, duplicate, reset;
    uint64_t delay;
};

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

/* A rule that fails, or says what nobody understands, ends the run. */
static struct ruling ask_rule(struct packet *p) {
    struct ruling ruling = {0};
    lua_State *L = net.rule;
    if (L == NULL) {
        return ruling;
    }
    lua_pushcfunction(L, call_rule);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, p);
    if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
        sim_fail("error in the rule: %s", luaL_tolstring(L, -1, NULL));
    } else if (!read_ruling(L, &ruling)) {
        sim_fail("a rule returns \"deliver\", \"drop\", \"delay\" and seconds, \"duplicate\" or "
                 "\"reset\", not %s",
                 luaL_tolstring(L, 2, NULL));
    }
    lua_settop(L, 1);
    return ruling;
}

/* ---- the journey ---- */

static void packet_due(struct event *event);

static void drop_packet(struct event *event) {
    packet_free((struct packet *)event);
}

struct packet *packet_new(enum packet_kind kind, struct machine *from, struct machine *to,
                          size_t data) {
    struct packet *p = runtime_alloc(sizeof(*p) + data);
    memset(p, 0, sizeof(*p));
    p->kind = kind;
    p->from = from;
    p->to = to;
    p->record = SIZE_MAX;
    p->event = (struct event){.fire = packet_due, .drop = drop_packet};
    return p;
}

void packet_free(struct packet *p) {
    if (p->flow != NULL) {
        flow_release(p->flow);
    }
    runtime_free(p);
}

void packet_mark(const struct packet *p, enum verdict verdict) {
    if (p->record != SIZE_MAX) {
        trace_amend(p->record, verdict);
    }
}

static void packet_due(struct event *event);

/* It did not get there: the sender's timer is what is left of it. */
void packet_lose(struct packet *p) {
    if (p->retry == NULL) {
        packet_free(p);
        return;
    }
    p->lost = true;
    event_add(&p->event, sim.now + stream_patience(p));
}

static void packet_due(struct event *event) {
    struct packet *p = (struct packet *)event;
    if (p->lost) {
        p->lost = false;
        p->attempt++;
        p->retry(p);
    } else if (!p->to->up) {
        packet_mark(p, VERDICT_DOWN);
        packet_lose(p);
    } else {
        p->arrive(p);
    }
}

static void travel(struct packet *p, uint64_t extra) {
    const struct faults *f = &sim.faults;
    struct link *link = link_between(p->from, p->to);
    uint64_t latency = chance_between(CHANCE_LATENCY, f->latency_low, f->latency_high);
    bool late = chance_happens(CHANCE_DELAY, f->delay);
    uint64_t lateness = chance_between(CHANCE_DELAY, 100 * MS, 1000 * MS);
    bool stray = chance_happens(CHANCE_REORDER, f->reorder);
    uint64_t straying = chance_between(CHANCE_REORDER, f->latency_high, 5 * f->latency_high + MS);
    uint64_t arrival = sim.now + latency + extra + (late ? lateness : 0) + (stray ? straying : 0);
    if (!stray && extra == 0) {
        arrival = arrival > link->last_arrival ? arrival : link->last_arrival;
        link->last_arrival = arrival;
    }
    p->record = trace_add(p, VERDICT_DELIVERED, arrival);
    event_add(&p->event, arrival);
}

/* A duplicate of a stream's packet would be thrown away by its receiver, so none is made. */
static void send_copy(const struct packet *p) {
    struct packet *copy = packet_new(p->kind, p->from, p->to, p->size);
    *copy = *p;
    copy->copy = true;
    memcpy(copy->data, p->data, p->size);
    travel(copy, 0);
}

static void lost_on_the_way(struct packet *p, enum verdict verdict) {
    p->record = trace_add(p, verdict, 0);
    packet_lose(p);
}

static void break_stream(struct packet *p) {
    struct sim_socket *from = p->flow ? p->flow->from : NULL;
    struct sim_socket *to = p->flow ? p->flow->to : NULL;
    p->record = trace_add(p, VERDICT_RESET, 0);
    packet_free(p);
    if (from != NULL) {
        stream_fail(from, ECONNRESET);
    }
    if (to != NULL) {
        stream_fail(to, ECONNRESET);
    }
}

static void cross(struct packet *p) {
    struct ruling ruling = ask_rule(p);
    struct link *link = link_between(p->from, p->to);
    bool loss = chance_happens(CHANCE_LOSS, sim.faults.loss);
    bool twice = chance_happens(CHANCE_DUPLICATE, sim.faults.duplicate) || ruling.duplicate;
    if (ruling.reset && p->kind != PACKET_DATAGRAM) {
        break_stream(p);
    } else if (ruling.drop || ruling.reset) {
        lost_on_the_way(p, VERDICT_RULED);
    } else if (link->state == LINK_PARTITIONED || link->outages > 0) {
        lost_on_the_way(p, VERDICT_PARTITIONED);
    } else if (link->state == LINK_HELD) {
        p->record = trace_add(p, VERDICT_HELD, 0);
        hold(link, p);
    } else if (loss) {
        lost_on_the_way(p, VERDICT_LOST);
    } else {
        if (twice && p->kind == PACKET_DATAGRAM) {
            send_copy(p);
        }
        travel(p, ruling.delay);
    }
}

void packet_send(struct packet *p) {
    if (p->to == NULL) {
        lost_on_the_way(p, VERDICT_DOWN);
    } else if (p->from == p->to) {
        event_add(&p->event, sim.now + LOOPBACK_NS);
    } else {
        cross(p);
    }
}

/* ---- open and close ---- */

void network_set_faults(const struct faults *faults) {
    sim.faults = *faults;
    event_remove(&net.weather);
    if (faults->partition > 0) {
        net.weather = (struct event){.idle = true, .fire = change_weather};
        event_add(&net.weather, sim.now + chance_between(CHANCE_PARTITION, 0, faults->partition));
    }
}

static void free_held(struct link *link) {
    while (link->held_first != NULL) {
        struct packet *p = link->held_first;
        link->held_first = p->next;
        packet_free(p);
    }
}

void network_close(void) {
    for (unsigned i = 0; i < net.count; i++) {
        for (unsigned j = 0; j < net.lengths[i]; j++) {
            free_held(&net.rows[i][j]);
        }
        runtime_free(net.rows[i]);
    }
    runtime_free(net.rows);
    runtime_free(net.lengths);
    while (net.outages != NULL) {
        struct outage *outage = net.outages;
        net.outages = outage->next;
        runtime_free(outage);
    }
    luaL_unref(rt.L, LUA_REGISTRYINDEX, net.rule_anchor);
    memset(&net, 0, sizeof(net));
    net.rule_anchor = LUA_NOREF;
}
