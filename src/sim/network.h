/* SPDX-License-Identifier: MIT
 *
 * Packets, the links they cross, the script's rule and the trace. See sim.h.
 */
#ifndef LARIAT_SIM_NETWORK_H
#define LARIAT_SIM_NETWORK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/event.h"
#include "sim/machine.h"

/* ---- packets: sim_network.c ---- */

enum packet_kind {
    PACKET_SYN,
    PACKET_SYNACK,
    PACKET_ACK,
    PACKET_DATA,
    PACKET_FIN,
    PACKET_RST,
    PACKET_DATAGRAM,
    PACKET_UNREACHABLE,
};

enum verdict {
    VERDICT_DELIVERED,
    VERDICT_LOST,
    VERDICT_PARTITIONED,
    VERDICT_HELD,
    VERDICT_RULED,   /* dropped by the script's rule */
    VERDICT_DOWN,    /* the machine is down, or was never there */
    VERDICT_REFUSED, /* nobody listens there */
    VERDICT_FULL,    /* the receiver has no room */
    VERDICT_RESET,   /* the script's rule broke the connection */
};

struct flow;

struct packet {
    struct event event;
    struct packet *next; /* among those that a link holds */
    enum packet_kind kind;
    struct machine *from, *to; /* to is NULL for an address nobody has */
    struct sim_address source, target;
    struct flow *flow; /* whose bytes, or whose beginning or end, it is about; owned, or NULL */
    uint64_t sequence; /* of its first byte */
    size_t size;
    unsigned attempt;
    size_t record;    /* in the trace */
    size_t path_size; /* of a unix datagram's sender, whose path is behind the data */
    bool group;       /* a broadcast or multicast: for everybody who listens there */
    bool copy;        /* a duplicate */
    bool lost;        /* it will not arrive; the event is its sender's timer */
    void (*arrive)(struct packet *packet);
    void (*retry)(struct packet *packet); /* its sender's timer; NULL: nobody resends it */
    char data[];                          /* of a datagram */
};

struct faults { /* probabilities, and what they cost in nanoseconds */
    uint64_t latency_low, latency_high;
    double loss, duplicate, reorder, delay, split;
    uint64_t partition; /* mean time between partitions that come by themselves; 0: none come */
};

struct packet *packet_new(enum packet_kind kind, struct machine *from, struct machine *to,
                          size_t data);
void packet_send(struct packet *packet); /* decides its fate; owns it from now on */
void packet_lose(struct packet *packet); /* it is its sender's timer's from now on */
void packet_free(struct packet *packet);
const char *packet_kind_name(enum packet_kind kind);
void packet_mark(const struct packet *packet, enum verdict verdict); /* what came of it after all */
bool link_is_open(const struct machine *from, const struct machine *to);
void network_set_faults(const struct faults *faults);
void network_close(void);

struct ruling {
    bool drop, duplicate, reset;
    uint64_t delay;
};

void rule_set(lua_State *L, int index); /* a function or nil */
bool rule_is_set(void);
struct ruling rule_ask(struct packet *packet); /* between ticks */
void rule_close(void);

enum link_state { LINK_OPEN, LINK_PARTITIONED, LINK_HELD };
void link_set(struct machine *from, struct machine *to, enum link_state state);

/* ---- the trace: sim_trace.c ---- */

size_t trace_add(const struct packet *packet, enum verdict verdict, uint64_t arrival);
void trace_amend(size_t record, enum verdict verdict);
void trace_open(lua_State *L);     /* pushes the run's trace */
void trace_name(const char *name); /* of the next machine */
void trace_close(void);
void trace_open_module(lua_State *L);

#endif
