/* SPDX-License-Identifier: MIT
 *
 * Streams: recv, send, shutdown, close and readiness of one end, with Linux's errors, and the packets
 * that reach it. How streams begin is in connect.c, how bytes travel is in flow.c.
 *
 * A socket that its program has closed lives on until the peer has got everything; then, or when the
 * stream breaks, settle() frees it. Data for a socket that does not exist any more is answered with a
 * reset.
 */
#include "sim/stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

#include "sim/machine.h"
#include "sim/network.h"
#include "sim/socket.h"

/* ---- the end of a stream ---- */

/* Frees a socket that its program has closed, once the peer has got everything. */
static void settle(struct sim_socket *s) {
    if (s->fd >= 0 || s->listener != NULL) {
        return;
    }
    if (s->state == STREAM_DEAD || s->out->end_arrived) {
        if (s->active_close && s->family != AF_UNIX && s->state != STREAM_DEAD) {
            machine_wait_port(s->machine, s->local.port);
        }
        sim_socket_free(s);
    }
}

void stream_fail(struct sim_socket *s, int error) {
    bool ended = s->in != NULL && s->in->end_arrived;
    if (s->state == STREAM_DEAD) {
        return;
    }
    sim_socket_leave_flows(s);
    s->error = ended && error == ECONNRESET ? EPIPE : error;
    s->state = STREAM_DEAD;
    sim_socket_changed(s);
    settle(s);
}

/* ---- resets ---- */

static void reset_receiver(struct packet *p) {
    if (p->flow->to != NULL) {
        stream_fail(p->flow->to, ECONNRESET);
    }
    packet_free(p);
}

static void reset_sender(struct packet *p) {
    struct sim_socket *s = p->flow->from;
    if (s != NULL) {
        stream_fail(s, s->state == STREAM_CONNECTING ? ECONNREFUSED : ECONNRESET);
    }
    packet_free(p);
}

void stream_reset(struct sim_socket *s) {
    if (s->out->local) {
        if (s->out->to != NULL) {
            stream_fail(s->out->to, ECONNRESET);
        }
        return;
    }
    struct packet *p = flow_packet(PACKET_RST, s->out);
    p->sequence = s->out->sent;
    p->arrive = reset_receiver;
    packet_send(p);
}

void stream_send_reset(struct flow *flow) {
    struct packet *p = packet_new(PACKET_RST, flow->receiver, flow->sender, 0);
    p->source = flow->target;
    p->target = flow->source;
    p->flow = flow;
    p->arrive = reset_sender;
    flow->references++;
    packet_send(p);
}

/* ---- packets ---- */

/* Answers with a reset. That may be lost, so the packet goes back to its sender's timer. */
static void refuse(struct packet *p) {
    packet_mark(p, VERDICT_REFUSED);
    stream_send_reset(p->flow);
    packet_lose(p);
}

/* The sender learns of the arrival if the link back is open; else it sends again. */
static void acknowledge(struct packet *p) {
    struct flow *flow = p->flow;
    if (link_is_open(flow->receiver, flow->sender)) {
        packet_free(p);
    } else {
        packet_lose(p);
    }
}

void stream_receive_data(struct packet *p) {
    struct flow *flow = p->flow;
    struct sim_socket *s = flow->to;
    if (p->sequence + p->size <= flow->arrived) {
        acknowledge(p);
        return;
    }
    if (s == NULL) {
        refuse(p);
        return;
    }
    if (s->fd < 0 && s->established && s->listener == NULL) {
        refuse(p);
        stream_fail(s, ECONNRESET);
        return;
    }
    stream_established(s);
    flow_arrive(flow, p->sequence, p->sequence + p->size);
    flow->end_arrived = flow->end_seen && flow->arrived == flow->written;
    sim_socket_changed(s);
    if (flow->from != NULL) {
        sim_socket_changed(flow->from);
    }
    acknowledge(p);
}

/* Accepts a FIN even if the receiving socket does not exist any more: unlike data, it needs no reset. */
void stream_receive_end(struct packet *p) {
    struct flow *flow = p->flow;
    flow->end_seen = true;
    flow->end_arrived = flow->arrived == flow->written;
    if (flow->to != NULL) {
        stream_established(flow->to);
        sim_socket_changed(flow->to);
    }
    bool over =
        flow->end_arrived && flow->from != NULL && link_is_open(flow->receiver, flow->sender);
    struct sim_socket *from = flow->from;
    acknowledge(p);
    if (over) {
        settle(from);
    }
}

/* ---- calls ---- */

static int take_error(struct sim_socket *s) {
    int error = s->error;
    s->error = 0;
    return -error;
}

int stream_events(const struct sim_socket *s) {
    int events = 0;
    switch (s->state) {
    case STREAM_NEW:
    case STREAM_DEAD: return POLLIN | POLLOUT;
    case STREAM_LISTENING: return s->children != NULL ? POLLIN : 0;
    case STREAM_CONNECTING: return s->error ? POLLIN | POLLOUT : 0;
    case STREAM_OPEN: break;
    }
    if (flow_readable(s->in) > 0 || s->in->end_arrived || s->shut_read) {
        events |= POLLIN;
    }
    if (s->out->ended || flow_space(s->out) * 3 >= s->send_buffer) {
        events |= POLLOUT;
    }
    return s->error ? POLLIN | POLLOUT : events;
}

ssize_t stream_recv(struct sim_socket *s, char *data, size_t size) {
    if (s->in != NULL && flow_readable(s->in) > 0) {
        return (ssize_t)flow_take(s->in, data, size);
    }
    if (s->in != NULL && s->in->end_arrived) {
        return 0;
    }
    if (s->error) {
        return take_error(s);
    }
    switch (s->state) {
    case STREAM_NEW:
    case STREAM_LISTENING: return -ENOTCONN;
    case STREAM_DEAD: return 0;
    default: return s->shut_read ? 0 : -EAGAIN;
    }
}

/* send() of a standard stream: the output is kept with the machine. */
static ssize_t print(const struct sim_socket *s, const struct msghdr *message) {
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        machine_write(s->machine, s->standard, part->iov_base, part->iov_len);
        size += part->iov_len;
    }
    return (ssize_t)size;
}

ssize_t stream_send(struct sim_socket *s, const struct msghdr *message) {
    size_t sent = 0;
    if (s->standard > 0) {
        return print(s, message);
    }
    if (s->error) {
        return take_error(s);
    }
    if (s->state == STREAM_CONNECTING) {
        return -EAGAIN;
    }
    if (s->state != STREAM_OPEN || s->out->ended) {
        return -EPIPE;
    }
    if (s->out->local && s->out->to == NULL) {
        return -EPIPE;
    }
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        const struct iovec *part = &message->msg_iov[i];
        size_t taken = flow_write(s->out, part->iov_base, part->iov_len);
        sent += taken;
        if (taken < part->iov_len) {
            break;
        }
    }
    if (sent == 0) {
        return -EAGAIN;
    }
    flow_pump(s->out);
    return (ssize_t)sent;
}

int stream_shutdown(struct sim_socket *s, int how) {
    if (s->state != STREAM_OPEN) {
        return -ENOTCONN;
    }
    if (how != SHUT_WR) {
        s->shut_read = true;
        sim_socket_changed(s);
    }
    if (how != SHUT_RD && !s->out->ended) {
        s->out->ended = true;
        s->active_close = !s->in->end_arrived;
        flow_pump(s->out);
    }
    return 0;
}

/* Does closing the socket reset the connection? As in Linux, if there is input that was not read. */
static bool aborts(const struct sim_socket *s) {
    return flow_readable(s->in) > 0 || sim_option_resets(s);
}

void stream_close(struct sim_socket *s) {
    if (s->state == STREAM_LISTENING) {
        stream_drop_children(s);
    }
    if (s->state != STREAM_OPEN) {
        sim_socket_free(s);
    } else if (aborts(s)) {
        stream_reset(s);
        sim_socket_free(s);
    } else {
        if (!s->out->ended) {
            s->active_close = !s->in->end_arrived;
            s->out->ended = true;
        }
        flow_pump(s->out);
        settle(s);
    }
}
