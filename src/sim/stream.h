/* SPDX-License-Identifier: MIT
 *
 * Streams of the simulated network: flows, which are one direction each, and their two ends. See sim.h.
 */
#ifndef LARIAT_SIM_STREAM_H
#define LARIAT_SIM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "sim/machine.h"
#include "sim/network.h"
#include "sim/socket.h"

/* ---- flows: sim_flow.c ---- */

/* One direction of a stream. Offsets count bytes since its beginning, and
 * taken <= arrived <= sent <= written; the ring holds [taken, written). */
struct flow {
    unsigned references;
    bool local;                        /* inside one machine's kernel: no packets */
    struct sim_socket *from, *to;      /* NULL: that end is over, or not there yet */
    struct machine *sender, *receiver; /* receiver NULL: an address nobody has */
    struct sim_address source, target;
    char *ring;
    size_t capacity; /* a power of two */
    size_t window;   /* the receiver's buffer */
    uint64_t taken, arrived, sent, written;
    struct span *spans; /* what has arrived beyond `arrived`, in order */
    size_t span_count;
    bool ended;       /* nothing will be written any more: the end is at `written` */
    bool end_sent;    /* the packet that says so is on its way */
    bool end_seen;    /* it has arrived, */
    bool end_arrived; /* and everything before it has, too */
    bool stalled;     /* the receiver had no room */
    bool update_sent; /* it tells that it has again */
};

struct flow *flow_new(struct sim_socket *from, struct sim_socket *to, bool local);
void flow_release(struct flow *flow);
struct packet *flow_packet(enum packet_kind kind, struct flow *flow);
void flow_pump(struct flow *flow);   /* sends what may be sent */
void flow_orphan(struct flow *flow); /* nobody receives it any more */
void flow_arrive(struct flow *flow, uint64_t begin, uint64_t end);
size_t flow_readable(const struct flow *flow);
size_t flow_space(const struct flow *flow);
size_t flow_write(struct flow *flow, const char *data, size_t size);
void flow_give(struct flow *flow, const char *data, size_t size); /* whatever the room */
size_t flow_take(struct flow *flow, char *data, size_t size);

/* ---- streams: sim_stream.c, sim_connect.c ---- */

void stream_receive_data(struct packet *packet);
void stream_receive_end(struct packet *packet);
void stream_reset(struct sim_socket *s);           /* tells the peer */
void stream_send_reset(struct flow *flow);         /* tells that flow's sender */
void stream_fail(struct sim_socket *s, int error); /* the connection is over, for this end */
void stream_close(struct sim_socket *s);
int stream_events(const struct sim_socket *s);
ssize_t stream_recv(struct sim_socket *s, char *data, size_t size);
ssize_t stream_send(struct sim_socket *s, const struct msghdr *message);
int stream_shutdown(struct sim_socket *s, int how);
int stream_connect(struct sim_socket *s, const struct sim_address *to);
int stream_connect_path(struct sim_socket *s, const struct sim_path *path);
int stream_listen(struct sim_socket *s, int backlog);
int stream_accept(struct sim_socket *s, struct sim_socket **child);
void stream_leave_listener(struct sim_socket *child);
void stream_drop_children(struct sim_socket *listener);
void stream_established(struct sim_socket *s);
uint64_t flow_retry_delay(const struct packet *packet); /* until it is sent again */

#endif
