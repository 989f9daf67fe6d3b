/* SPDX-License-Identifier: MIT
 *
 * A flow is one direction of a stream: a ring of bytes that do not move, over which four offsets
 * advance: taken <= arrived <= sent <= written. A packet of data names a part of the ring and carries
 * no bytes itself, so sending it again costs nothing.
 *
 * Invariants: the offset `arrived` never goes back and never skips bytes, so loss, reordering and
 * partitions only delay a stream. At most the receiver's buffer lies between `taken` and `sent`, and at
 * most the sender's between `arrived` and `written`. A flow lives while one of its ends or a packet on
 * its way refers to it.
 *
 * There are no packets of acknowledgement: the sender knows at once that a packet has arrived, unless
 * the link back is closed; then it sends again, as if the acknowledgement had been lost. Only the
 * opening of a full window takes a packet.
 */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "sim/event.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/socket.h"
#include "sim/stream.h"

#define SEGMENT 1460 /* bytes of data in a packet, as over Ethernet */
#define CRUMB 16     /* the most bytes in half of the packets that the fault `split` makes */
#define SMALLEST_RING 4096
#define MS 1000000ull
#define LONGEST_DELAY (120000 * MS) /* Linux, TCP_RTO_MAX */
#define MOST_ATTEMPTS 15            /* Linux, tcp_retries2 */

struct span {
    uint64_t begin, end;
};

struct flow *flow_new(struct sim_socket *from, struct sim_socket *to, bool local) {
    struct flow *flow = memory_alloc(sizeof(*flow));
    *flow = (struct flow){.from = from, .to = to, .local = local, .window = SIM_BUFFER};
    return flow;
}

void flow_release(struct flow *flow) {
    if (--flow->references == 0) {
        memory_free(flow->ring);
        memory_free(flow->spans);
        memory_free(flow);
    }
}

size_t flow_readable(const struct flow *flow) {
    return (size_t)(flow->arrived - flow->taken);
}

size_t flow_space(const struct flow *flow) {
    size_t held = (size_t)(flow->written - flow->arrived);
    size_t limit = flow->from ? flow->from->send_buffer : 0;
    return held < limit ? limit - held : 0;
}

/* ---- the ring ---- */

static void grow(struct flow *flow, size_t needed) {
    size_t capacity = flow->capacity ? flow->capacity : SMALLEST_RING;
    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity == flow->capacity) {
        return;
    }
    char *ring = memory_alloc(capacity);
    for (uint64_t at = flow->taken; at < flow->written;) {
        size_t from = (size_t)at & (flow->capacity - 1), to = (size_t)at & (capacity - 1);
        size_t size = (size_t)(flow->written - at);
        size = size < flow->capacity - from ? size : flow->capacity - from;
        size = size < capacity - to ? size : capacity - to;
        memcpy(ring + to, flow->ring + from, size);
        at += size;
    }
    memory_free(flow->ring);
    flow->ring = ring;
    flow->capacity = capacity;
}

void flow_give(struct flow *flow, const char *data, size_t size) {
    grow(flow, (size_t)(flow->written - flow->taken) + size);
    size_t at = (size_t)flow->written & (flow->capacity - 1);
    size_t first = size < flow->capacity - at ? size : flow->capacity - at;
    memcpy(flow->ring + at, data, first);
    memcpy(flow->ring, data + first, size - first);
    flow->written += size;
}

size_t flow_write(struct flow *flow, const char *data, size_t size) {
    size_t space = flow_space(flow);
    size = size < space ? size : space;
    flow_give(flow, data, size);
    return size;
}

static void copy_out(const struct flow *flow, char *data, size_t size) {
    size_t at = (size_t)flow->taken & (flow->capacity - 1);
    size_t first = size < flow->capacity - at ? size : flow->capacity - at;
    memcpy(data, flow->ring + at, first);
    memcpy(data + first, flow->ring, size - first);
}

/* ---- sending ---- */

static void retry(struct packet *p) {
    struct flow *flow = p->flow;
    if (flow->from == NULL) {
        packet_free(p);
    } else if (p->attempt > MOST_ATTEMPTS) {
        struct sim_socket *s = flow->from;
        packet_free(p);
        stream_fail(s, ETIMEDOUT);
    } else {
        packet_send(p);
    }
}

/* Doubled with each attempt. */
uint64_t flow_retry_delay(const struct packet *p) {
    bool handshake = p->kind == PACKET_SYN || p->kind == PACKET_SYNACK;
    uint64_t first = handshake ? 1000 * MS : 200 * MS + 2 * sim.faults.latency_high;
    uint64_t delay = p->attempt < 20 ? first << p->attempt : LONGEST_DELAY;
    return delay < LONGEST_DELAY ? delay : LONGEST_DELAY;
}

struct packet *flow_packet(enum packet_kind kind, struct flow *flow) {
    struct packet *p = packet_new(kind, flow->sender, flow->receiver, 0);
    p->source = flow->source;
    p->target = flow->target;
    p->flow = flow;
    flow->references++;
    return p;
}

static struct packet *next_part(struct flow *flow, size_t size) {
    struct packet *p = flow_packet(PACKET_DATA, flow);
    p->sequence = flow->sent;
    p->size = size;
    p->retry = retry;
    p->arrive = stream_receive_data;
    flow->sent += size;
    return p;
}

/* A sender that waits for the window to open finds out by a probe of one byte that nobody will read
 * any more. Other senders find out when they send. */
void flow_orphan(struct flow *flow) {
    flow->to = NULL;
    if (flow->stalled && flow->from != NULL && !flow->local) {
        flow->stalled = false;
        packet_lose(next_part(flow, 1));
    }
}

static void send_end(struct flow *flow) {
    struct packet *p = flow_packet(PACKET_FIN, flow);
    p->sequence = flow->written;
    p->retry = retry;
    p->arrive = stream_receive_end;
    flow->end_sent = true;
    packet_send(p);
}

/* How many of `size` bytes go into the next packet: all, unless the fault `split` strikes. Half of the
 * split packets have at most CRUMB bytes, the others any size. */
static size_t cut(size_t size) {
    bool split = chance_happens(CHANCE_SPLIT, sim.faults.split);
    bool crumb = chance_happens(CHANCE_SPLIT, 0.5);
    size_t limit = crumb && size > CRUMB ? CRUMB : size;
    uint64_t part = chance_between(CHANCE_SPLIT, 1, limit);
    return split ? (size_t)part : size;
}

/* flow_pump() of a local flow: what fits into the window has arrived at once. */
static void pass_on(struct flow *flow) {
    uint64_t limit = flow->taken + flow->window;
    flow->sent = flow->arrived = flow->written < limit ? flow->written : limit;
    flow->stalled = flow->sent < flow->written;
    if (flow->ended && !flow->stalled) {
        flow->end_sent = flow->end_arrived = true;
    }
    if (flow->to != NULL) {
        sim_socket_changed(flow->to);
    }
}

void flow_pump(struct flow *flow) {
    if (flow->local) {
        pass_on(flow);
        return;
    }
    if (flow->from == NULL) {
        return;
    }
    while (flow->sent < flow->written) {
        uint64_t limit = flow->taken + flow->window;
        uint64_t end = flow->written < limit ? flow->written : limit;
        if (flow->sent >= end) {
            flow->stalled = true;
            return;
        }
        size_t size = (size_t)(end - flow->sent);
        packet_send(next_part(flow, cut(size < SEGMENT ? size : SEGMENT)));
    }
    if (flow->ended && !flow->end_sent) {
        send_end(flow);
    }
}

/* ---- arriving ---- */

/* Adds [begin, end) to the spans, in order, joined with those that it touches. */
static void keep_span(struct flow *flow, uint64_t begin, uint64_t end) {
    size_t i = 0, after;
    while (i < flow->span_count && flow->spans[i].end < begin) {
        i++;
    }
    for (after = i; after < flow->span_count && flow->spans[after].begin <= end; after++) {
        begin = flow->spans[after].begin < begin ? flow->spans[after].begin : begin;
        end = flow->spans[after].end > end ? flow->spans[after].end : end;
    }
    size_t rest = flow->span_count - after;
    size_t count = i + 1 + rest;
    if (count > flow->span_count) {
        flow->spans = memory_realloc(flow->spans, count * sizeof(*flow->spans));
    }
    memmove(flow->spans + i + 1, flow->spans + after, rest * sizeof(*flow->spans));
    flow->spans[i] = (struct span){begin, end};
    flow->span_count = count;
}

void flow_arrive(struct flow *flow, uint64_t begin, uint64_t end) {
    if (begin > flow->arrived) {
        keep_span(flow, begin, end);
        return;
    }
    flow->arrived = end > flow->arrived ? end : flow->arrived;
    while (flow->span_count > 0 && flow->spans[0].begin <= flow->arrived) {
        uint64_t reach = flow->spans[0].end;
        flow->arrived = reach > flow->arrived ? reach : flow->arrived;
        flow->span_count--;
        memmove(flow->spans, flow->spans + 1, flow->span_count * sizeof(*flow->spans));
    }
}

/* ---- taking ---- */

static void window_opened(struct packet *p) {
    struct flow *flow = p->flow;
    flow->update_sent = false;
    if (flow->from != NULL) {
        flow->stalled = false;
        flow_pump(flow);
        sim_socket_changed(flow->from);
    }
    packet_free(p);
}

static void retry_window(struct packet *p) {
    if (p->flow->to == NULL) {
        packet_free(p);
    } else {
        packet_send(p);
    }
}

/* Sends the sender, which waits for it, the packet that opens the window. It is sent again if lost. */
static void tell_window(struct flow *flow) {
    struct packet *p = packet_new(PACKET_ACK, flow->receiver, flow->sender, 0);
    p->source = flow->target;
    p->target = flow->source;
    p->flow = flow;
    p->sequence = flow->taken;
    p->retry = retry_window;
    p->arrive = window_opened;
    flow->references++;
    flow->update_sent = true;
    packet_send(p);
}

size_t flow_take(struct flow *flow, char *data, size_t size) {
    size_t readable = flow_readable(flow);
    size = size < readable ? size : readable;
    copy_out(flow, data, size);
    flow->taken += size;
    bool wide = (flow->sent - flow->taken) * 2 <= flow->window;
    if (flow->stalled && flow->local) {
        flow_pump(flow);
        if (flow->from != NULL) {
            sim_socket_changed(flow->from);
        }
    } else if (flow->stalled && wide && !flow->update_sent && flow->to != NULL) {
        tell_window(flow);
    }
    return size;
}
