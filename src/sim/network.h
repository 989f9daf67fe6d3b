/* SPDX-License-Identifier: MIT
 *
 * Packets, the links between machines, the faults that the seed draws, the script's rule and the trace.
 *
 * A caller may rely on this: packet_send() takes the packet over, and calls back packet->arrive or
 * packet->retry, never within the call. No packet arrives on a machine that is down.
 */
#ifndef LARIAT_SIM_NETWORK_H
#define LARIAT_SIM_NETWORK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/event.h"
#include "sim/machine.h"

/* ---- packets: network.c ---- */

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
    VERDICT_LOST,        /* by the fault `loss` */
    VERDICT_PARTITIONED, /* its link was partitioned */
    VERDICT_HELD,        /* its link holds packets back */
    VERDICT_RULED,       /* dropped by the script's rule */
    VERDICT_DOWN,        /* the machine is down, or there is none with that address */
    VERDICT_REFUSED,     /* no socket listens there */
    VERDICT_FULL,        /* the receiver's buffer is full */
    VERDICT_RESET,       /* the script's rule broke the connection */
};

struct flow;

struct packet {
    struct event event;
    struct packet *next; /* in a link's list of held packets, or a socket's queue of datagrams */
    enum packet_kind kind;
    struct machine *from, *to; /* `to` is NULL if no machine has the address */
    struct sim_address source, target;
    struct flow *flow; /* the flow that it belongs to, and a reference to it; NULL: a datagram */
    uint64_t sequence; /* the offset of its first byte in the flow */
    size_t size;       /* bytes of data, in the flow or in `data` */
    unsigned attempt;  /* how often it was sent before */
    size_t record;     /* its record in the trace; SIZE_MAX: none */
    size_t path_size;  /* the size of a unix datagram's sender path, which follows the data */
    bool group;        /* a broadcast or multicast: every socket bound there gets a copy */
    bool copy;         /* made by the fault `duplicate` */
    bool lost;         /* it will not arrive: its event is its sender's retransmission timer */
    void (*arrive)(struct packet *packet); /* takes the packet over, on the machine `to` */
    void (*retry)(struct packet *packet); /* the timer has expired: sends the packet again, or frees
                                              it; NULL: it is not sent again */
    char data[];                          /* of a datagram */
};

struct faults { /* probabilities for each packet; times in nanoseconds */
    uint64_t latency_low, latency_high;
    double loss, duplicate, reorder, delay, split;
    uint64_t partition; /* mean time between partitions by chance; 0: there are none */
};

/* A packet with `data` bytes after it, to be filled by the caller; freed by packet_free(). */
struct packet *packet_new(enum packet_kind kind, struct machine *from, struct machine *to,
                          size_t data);

/* Sends the packet: it is delivered, delayed, lost or held, as the rule, the links and chance decide.
 * The network owns it from now on. */
void packet_send(struct packet *packet);

/* The packet does not arrive. Starts its retransmission timer, or frees it if it has no `retry`. */
void packet_lose(struct packet *packet);

void packet_free(struct packet *packet); /* and releases its flow */
const char *packet_kind_name(enum packet_kind kind);

/* Changes the verdict in the packet's record, after its arrival. */
void packet_mark(const struct packet *packet, enum verdict verdict);

/* Do packets from one machine to the other cross now: neither a partition nor a hold? */
bool link_is_open(const struct machine *from, const struct machine *to);

enum link_state { LINK_OPEN, LINK_PARTITIONED, LINK_HELD };

/* Sets the state of the link in this direction. Opening it delivers the packets that it holds. */
void link_set(struct machine *from, struct machine *to, enum link_state state);

void network_set_faults(const struct faults *faults); /* from now on; the struct is copied */
void network_close(void); /* frees the links and the packets they hold */

/* ---- the script's rule: rule.c ---- */

/* The rule's decision about a packet; all zero: it crosses as usual. */
struct ruling {
    bool drop, duplicate, reset;
    uint64_t delay; /* nanoseconds, in addition to the latency */
};

/* Sets the rule to the function at `index`; nil: there is no rule. May raise (memory). */
void rule_set(lua_State *L, int index);
bool rule_is_set(void);

/* Calls the rule; without one the ruling is all zero. Between ticks only. An error in the rule ends the
 * run; it is not raised. */
struct ruling rule_ask(struct packet *packet);
void rule_close(void); /* frees the rule */

/* ---- the trace: trace.c ---- */

/* Records a packet that is sent, and returns the number of its record; SIZE_MAX: the trace is full.
 * `arrival` is when it will arrive; 0: it does not. */
size_t trace_add(const struct packet *packet, enum verdict verdict, uint64_t arrival);
void trace_amend(size_t record, enum verdict verdict); /* changes the verdict of a record */

void trace_open(lua_State *L);        /* makes and pushes the trace of a run. May raise (memory) */
void trace_name(const char *name);    /* records the name of the machine with the next number */
void trace_close(void);               /* the run has ended; Lua owns the trace */
void trace_open_module(lua_State *L); /* pushes the table lariat.core.sim.trace */

#endif
