/* SPDX-License-Identifier: MIT
 *
 * Streams of the simulated network: a stream has two ends, which are sockets, and two flows, one for
 * each direction. flow.c moves bytes, connect.c makes connections, stream.c does the rest.
 *
 * Functions named as system calls return what the call does, or an errno as a negative number. None
 * raises or waits. stream_fail(), stream_close() and those that take a packet may free the socket.
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

/* ---- flows: flow.c ---- */

/* One direction of a stream. Offsets count bytes since its beginning, and
 * taken <= arrived <= sent <= written; the ring holds [taken, written). */
struct flow {
    unsigned references;               /* its ends and the packets on their way */
    bool local;                        /* within one machine: without packets, in no time */
    struct sim_socket *from, *to;      /* NULL: that end has ended, or does not exist yet */
    struct machine *sender, *receiver; /* `receiver` is NULL if no machine has the address */
    struct sim_address source, target;
    char *ring;
    size_t capacity; /* of the ring; a power of two */
    size_t window;   /* the size of the receiver's buffer */
    uint64_t taken, arrived, sent, written;
    struct span *spans; /* parts that have arrived beyond `arrived`, in order */
    size_t span_count;
    bool ended;       /* nothing more will be written: the end is at `written` */
    bool end_sent;    /* the FIN has been sent, */
    bool end_seen;    /* has arrived, */
    bool end_arrived; /* and so have all bytes before it */
    bool stalled;     /* the sender waits, because the window is full */
    bool update_sent; /* the packet that opens the window is on its way */
};

/* A new flow, without references: each end that is attached to it, and each packet, counts one. */
struct flow *flow_new(struct sim_socket *from, struct sim_socket *to, bool local);
void flow_release(struct flow *flow); /* drops a reference; the last one frees the flow */

/* A new packet from the flow's sender to its receiver, with a reference to the flow. */
struct packet *flow_packet(enum packet_kind kind, struct flow *flow);

/* How many ns a sender waits for an answer before it sends this packet again. */
uint64_t flow_retry_delay(const struct packet *packet);

void flow_pump(struct flow *flow);   /* sends what the window admits, and the end */
void flow_orphan(struct flow *flow); /* its receiving end has gone */

/* The bytes [begin, end) have arrived. */
void flow_arrive(struct flow *flow, uint64_t begin, uint64_t end);

size_t flow_readable(const struct flow *flow); /* bytes that flow_take() would return */
size_t flow_space(const struct flow *flow);    /* bytes that the sender's buffer still takes */

/* Writes as much as flow_space() admits, and returns how much; the caller calls flow_pump(). */
size_t flow_write(struct flow *flow, const char *data, size_t size);
void flow_give(struct flow *flow, const char *data, size_t size); /* the same without a limit */
size_t flow_take(struct flow *flow, char *data, size_t size);     /* reads, and returns how much */

/* ---- streams: stream.c ---- */

/* `arrive` of data and of a FIN. */
void stream_receive_data(struct packet *packet);
void stream_receive_end(struct packet *packet);

void stream_reset(struct sim_socket *s);   /* sends a reset to the peer */
void stream_send_reset(struct flow *flow); /* sends one to the flow's sender */

/* The connection has ended for this socket, whose pending error becomes `error` (positive). */
void stream_fail(struct sim_socket *s, int error);

void stream_close(struct sim_socket *s);       /* its program has closed it */
int stream_events(const struct sim_socket *s); /* POLLIN | POLLOUT */
ssize_t stream_recv(struct sim_socket *s, char *data, size_t size);
ssize_t stream_send(struct sim_socket *s, const struct msghdr *message);
int stream_shutdown(struct sim_socket *s, int how);

/* ---- connections: connect.c ---- */

int stream_connect(struct sim_socket *s, const struct sim_address *to);
int stream_connect_path(struct sim_socket *s,
                        const struct sim_path *path); /* at once: 0 or error */
int stream_listen(struct sim_socket *s, int backlog);
int stream_accept(struct sim_socket *s,
                  struct sim_socket **child); /* the child has no descriptor */

void stream_established(struct sim_socket *s); /* the peer has answered: the handshake is over */
void stream_leave_listener(struct sim_socket *child);   /* leaves the backlog it is in, if any */
void stream_drop_children(struct sim_socket *listener); /* resets its backlog: the listener ends */

#endif
