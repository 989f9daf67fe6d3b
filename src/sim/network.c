/* SPDX-License-Identifier: MIT
 *
 * The way of a packet from one machine to another. These decide about it, in this order: the script's
 * rule, partitions and holds, then chance: loss, delay, reordering, duplication. A lost packet of a
 * stream is sent again when its sender's retransmission timer expires; a lost datagram is gone.
 *
 * Invariants: a packet belongs to the network from packet_send() on. It is freed where it is lost for
 * good, or by its `arrive`. Without the reorder fault, packets of one link arrive in the order in which
 * they were sent, except those that the rule delays differently. Packets within one machine take
 * LOOPBACK_NS; no fault applies to them, and they are not in the trace.
 */
#include "sim/network.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "sim/event.h"
#include "sim/machine.h"
#include "sim/run.h"
#include "sim/socket.h"
#include "sim/stream.h"

#define LOOPBACK_NS 10000
#define MS 1000000ull

struct link {
    enum link_state state;
    unsigned outages;      /* how many partitions by chance are in force on it */
    uint64_t last_arrival; /* of the packets sent so far: the next one arrives no earlier */
    struct packet *held_first, *held_last;
};

/* A partition by chance, in both directions. */
struct outage {
    struct event event; /* its end */
    struct machine *a, *b;
};

static struct {
    struct link **rows; /* rows[from][to], each as long as `lengths` says */
    unsigned *lengths;
    unsigned count;
    struct event next_outage; /* begins the next partition by chance */
} net;

/* ---- links ---- */

static struct link *link_between(const struct machine *from, const struct machine *to) {
    if (from->id >= net.count) {
        net.rows = memory_realloc(net.rows, sim.machine_count * sizeof(*net.rows));
        net.lengths = memory_realloc(net.lengths, sim.machine_count * sizeof(*net.lengths));
        for (; net.count < sim.machine_count; net.count++) {
            net.rows[net.count] = NULL;
            net.lengths[net.count] = 0;
        }
    }
    unsigned *length = &net.lengths[from->id];
    if (to->id >= *length) {
        struct link **row = &net.rows[from->id];
        *row = memory_realloc(*row, sim.machine_count * sizeof(**row));
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

static void drop_outage(struct event *event) {
    memory_free(event);
}

static void outage_over(struct event *event) {
    struct outage *outage = (struct outage *)event;
    link_between(outage->a, outage->b)->outages--;
    link_between(outage->b, outage->a)->outages--;
    drop_outage(event);
}

static void begin_outage(struct machine *a, struct machine *b, uint64_t length) {
    struct outage *outage = memory_alloc(sizeof(*outage));
    *outage = (struct outage){
        .event = {.idle = true, .fire = outage_over, .drop = drop_outage}, .a = a, .b = b};
    link_between(a, b)->outages++;
    link_between(b, a)->outages++;
    event_add(&outage->event, sim.now + length);
}

/* Begins a partition by chance, unless it has drawn the same machine twice, and plans the next one. */
static void next_outage_due(struct event *event) {
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

/* ---- the way of a packet ---- */

static void drop_packet(struct event *event) {
    packet_free((struct packet *)event);
}

struct packet *packet_new(enum packet_kind kind, struct machine *from, struct machine *to,
                          size_t data) {
    struct packet *p = memory_alloc(sizeof(*p) + data);
    memset(p, 0, sizeof(*p));
    p->kind = kind;
    p->from = from;
    p->to = to;
    p->record = SIZE_MAX;
    p->event.drop = drop_packet;
    return p;
}

void packet_free(struct packet *p) {
    if (p->flow != NULL) {
        flow_release(p->flow);
    }
    memory_free(p);
}

void packet_mark(const struct packet *p, enum verdict verdict) {
    if (p->record != SIZE_MAX) {
        trace_amend(p->record, verdict);
    }
}

static void packet_due(struct event *event);

void packet_lose(struct packet *p) {
    if (p->retry == NULL) {
        packet_free(p);
        return;
    }
    p->lost = true;
    p->event.fire = packet_due;
    event_add(&p->event, sim.now + flow_retry_delay(p));
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

/* Delivers the packet after the latency, the delays that chance adds, and the rule's `extra`. Packets
 * with the same `extra` stay in order; those with less overtake those with more. */
static void travel(struct packet *p, uint64_t extra) {
    const struct faults *f = &sim.faults;
    struct link *link = link_between(p->from, p->to);
    uint64_t latency = chance_between(CHANCE_LATENCY, f->latency_low, f->latency_high);
    bool late = chance_happens(CHANCE_DELAY, f->delay);
    uint64_t lateness = chance_between(CHANCE_DELAY, 100 * MS, 1000 * MS);
    bool overtaken = chance_happens(CHANCE_REORDER, f->reorder);
    uint64_t detour = chance_between(CHANCE_REORDER, f->latency_high, 5 * f->latency_high + MS);
    uint64_t arrival = sim.now + latency + (late ? lateness : 0) + (overtaken ? detour : 0);
    if (!overtaken) {
        arrival = arrival > link->last_arrival ? arrival : link->last_arrival;
        link->last_arrival = arrival;
    }
    arrival += extra;
    p->record = trace_add(p, VERDICT_DELIVERED, arrival);
    p->event.fire = packet_due;
    event_add(&p->event, arrival);
}

/* Sends a duplicate of a datagram. Packets of streams are not duplicated: the receiver would drop the
 * duplicate. */
static void send_copy(const struct packet *p, uint64_t extra) {
    struct packet *copy = packet_new(p->kind, p->from, p->to, p->size);
    *copy = *p;
    copy->copy = true;
    memcpy(copy->data, p->data, p->size);
    travel(copy, extra);
}

static void lost_on_the_way(struct packet *p, enum verdict verdict) {
    p->record = trace_add(p, verdict, 0);
    packet_lose(p);
}

/* The rule says "reset": both ends of the stream fail with ECONNRESET. */
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
    struct ruling ruling = rule_ask(p);
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
            send_copy(p, ruling.delay);
        }
        travel(p, ruling.delay);
    }
}

static void cross_now(struct event *event) {
    cross((struct packet *)event);
}

void packet_send(struct packet *p) {
    if (p->to == NULL) {
        lost_on_the_way(p, VERDICT_DOWN);
    } else if (p->from == p->to) {
        p->event.fire = packet_due;
        event_add(&p->event, sim.now + LOOPBACK_NS);
    } else if (rule_is_set()) {
        p->event.fire = cross_now;
        event_add(&p->event, sim.now);
    } else {
        cross(p);
    }
}

/* ---- open and close ---- */

void network_set_faults(const struct faults *faults) {
    sim.faults = *faults;
    event_remove(&net.next_outage);
    if (faults->partition > 0) {
        uint64_t first = sim.now + chance_between(CHANCE_PARTITION, 0, faults->partition);
        net.next_outage = (struct event){.idle = true, .fire = next_outage_due};
        event_add(&net.next_outage, first);
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
        memory_free(net.rows[i]);
    }
    memory_free(net.rows);
    memory_free(net.lengths);
    memset(&net, 0, sizeof(net));
}
