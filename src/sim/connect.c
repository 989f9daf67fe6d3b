/* SPDX-License-Identifier: MIT
 *
 * How streams begin: a handshake of three packets. SYN makes a child socket of the listener, SYNACK
 * makes the client's connect succeed, ACK (or the first data) lets the child be accepted. SYN and
 * SYNACK are sent again until the other side has answered; each SYNACK is answered by an ACK.
 *
 * Invariant: a child belongs to its listener until it is accepted, and ends with it. Both ends share
 * the two flows that connect() has made; the listener's side is attached when the SYN arrives.
 */
#include <errno.h>
#include <string.h>

#include "sim/machine.h"
#include "sim/network.h"
#include "sim/socket.h"
#include "sim/stream.h"

#define SYN_ATTEMPTS 6    /* Linux, tcp_syn_retries */
#define SYNACK_ATTEMPTS 5 /* Linux, tcp_synack_retries */
#define SOMAXCONN_KERNEL 4096

/* ---- the two flows ---- */

static void join_flows(struct sim_socket *s, struct flow *in, struct flow *out) {
    s->in = in;
    s->out = out;
    in->to = out->from = s;
    in->references++;
    out->references++;
    in->window = s->receive_buffer;
    s->connected = true;
}

static void make_flows(struct sim_socket *s, struct machine *peer, bool local) {
    struct flow *in = flow_new(NULL, s, local), *out = flow_new(s, NULL, local);
    in->receiver = out->sender = s->machine;
    in->sender = out->receiver = peer;
    in->target = out->source = s->local;
    in->source = out->target = s->remote;
    join_flows(s, in, out);
}

/* ---- the server's side ---- */

static bool listens_at(const struct sim_socket *s, const struct sim_address *a) {
    bool wildcard = sim_is_wildcard(&s->local);
    bool same_family = sim_is_four(&s->local) == sim_is_four(a);
    bool dual = !sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 0) && !sim_is_four(&s->local);
    return s->state == STREAM_LISTENING && s->family != AF_UNIX && s->local.port == a->port &&
           (wildcard ? same_family || dual : memcmp(s->local.ip, a->ip, sizeof(a->ip)) == 0);
}

static struct sim_socket *listener_at(const struct machine *m, const struct sim_address *a) {
    struct sim_socket *best = NULL;
    for (struct sim_socket *s = m->sockets; s != NULL; s = s->next) {
        if (listens_at(s, a) && (best == NULL || !sim_is_wildcard(&s->local))) {
            best = s;
        }
    }
    return best;
}

static bool is_full(const struct sim_socket *listener) {
    return listener->child_count > (size_t)listener->backlog;
}

static struct sim_socket *make_child(struct sim_socket *listener, struct flow *in,
                                     struct flow *out) {
    struct sim_socket *child = sim_socket_new(listener->machine, listener->family, SOCK_STREAM);
    sim_options_inherit(child, listener);
    child->state = STREAM_OPEN;
    child->listener = listener;
    child->bound = true;
    child->receive_buffer = listener->receive_buffer;
    child->send_buffer = listener->send_buffer;
    child->local = in->target;
    child->remote = in->source;
    join_flows(child, in, out);
    listener->child_count++;
    return child;
}

void stream_established(struct sim_socket *s) {
    if (s->established) {
        return;
    }
    s->established = true;
    s->state = s->state == STREAM_CONNECTING ? STREAM_OPEN : s->state;
    if (s->listener != NULL) {
        struct sim_socket **at = &s->listener->children;
        while (*at != NULL) {
            at = &(*at)->child_next;
        }
        *at = s;
        sim_socket_changed(s->listener);
    }
    sim_socket_changed(s);
    flow_pump(s->out);
}

static void synack_arrived(struct packet *p);

static void retry_synack(struct packet *p) {
    struct sim_socket *child = p->flow->from;
    if (child == NULL || child->established) {
        packet_free(p);
    } else if (p->attempt > SYNACK_ATTEMPTS) {
        packet_free(p);
        stream_leave_listener(child);
        stream_fail(child, ETIMEDOUT);
    } else {
        packet_send(p);
    }
}

static void send_synack(struct sim_socket *child, void (*retry)(struct packet *)) {
    struct packet *p = flow_packet(PACKET_SYNACK, child->out);
    p->retry = retry;
    p->arrive = synack_arrived;
    packet_send(p);
}

/* The answer may be lost, so the SYN goes back to its timer, until the client has an answer. */
static void syn_arrived(struct packet *p) {
    struct flow *flow = p->flow;
    struct sim_socket *client = flow->from;
    if (client == NULL) {
        packet_free(p);
        return;
    }
    struct sim_socket *listener = listener_at(p->to, &p->target);
    if (flow->to != NULL) {
        send_synack(flow->to, NULL); /* a SYN sent again: the answer was lost, or is late */
    } else if (listener == NULL) {
        packet_mark(p, VERDICT_REFUSED);
        stream_send_reset(flow);
    } else if (is_full(listener)) {
        packet_mark(p, VERDICT_FULL);
    } else {
        send_synack(make_child(listener, flow, client->in), retry_synack);
    }
    packet_lose(p);
}

/* ---- the client's side ---- */

static void ack_arrived(struct packet *p) {
    if (p->flow->to != NULL) {
        stream_established(p->flow->to);
    }
    packet_free(p);
}

/* The SYNACK goes back to its timer, until the child has heard from the client: see retry_synack. */
static void synack_arrived(struct packet *p) {
    struct sim_socket *client = p->flow->to;
    if (client == NULL) {
        packet_mark(p, VERDICT_REFUSED);
        stream_send_reset(p->flow);
        packet_free(p);
        return;
    }
    struct packet *ack = flow_packet(PACKET_ACK, client->out);
    ack->arrive = ack_arrived;
    packet_send(ack);
    stream_established(client);
    packet_lose(p);
}

static void retry_syn(struct packet *p) {
    struct sim_socket *s = p->flow->from;
    if (s == NULL || s->state != STREAM_CONNECTING) {
        packet_free(p);
    } else if (p->attempt > SYN_ATTEMPTS) {
        packet_free(p);
        stream_fail(s, ETIMEDOUT);
    } else {
        packet_send(p);
    }
}

static bool same_address(const struct sim_address *a, const struct sim_address *b) {
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Does another connection of the machine have the same local address and the same peer? */
static bool is_taken(const struct sim_socket *s, const struct sim_address *peer) {
    for (const struct sim_socket *t = s->machine->sockets; t != NULL; t = t->next) {
        if (t != s && t->type == SOCK_STREAM && t->connected && t->listener == NULL &&
            same_address(&t->local, &s->local) && same_address(&t->remote, peer)) {
            return true;
        }
    }
    return false;
}

static int begin_connect(struct sim_socket *s, const struct sim_address *to) {
    struct sim_address target = *to;
    if (sim_is_wildcard(&target)) {
        sim_loopback(&target);
    }
    if (sim_is_multicast(&target) || sim_is_broadcast(&target)) {
        return -ENETUNREACH;
    }
    struct machine *peer = machine_at(&target, s->machine);
    if (!s->bound || sim_is_wildcard(&s->local)) {
        int err = sim_choose_local(s, &target);
        if (err < 0) {
            return err;
        }
    }
    if (s->fixed_port && is_taken(s, &target)) {
        return -EADDRNOTAVAIL;
    }
    s->remote = target;
    make_flows(s, peer, false);
    s->state = STREAM_CONNECTING;
    struct packet *syn = flow_packet(PACKET_SYN, s->out);
    syn->retry = retry_syn;
    syn->arrive = syn_arrived;
    packet_send(syn);
    return -EINPROGRESS;
}

static void forget_attempt(struct sim_socket *s) {
    sim_socket_drop_flows(s);
    if (!s->fixed_address) {
        sim_wildcard(&s->local);
    }
    s->state = STREAM_NEW;
    s->connected = s->established = s->announced = false;
}

int stream_connect(struct sim_socket *s, const struct sim_address *to) {
    switch (s->state) {
    case STREAM_NEW: return begin_connect(s, to);
    case STREAM_CONNECTING: return -EALREADY;
    case STREAM_LISTENING: return -EISCONN;
    case STREAM_OPEN:
        if (!s->announced) {
            s->announced = true;
            return 0;
        }
        return -EISCONN;
    case STREAM_DEAD: break;
    }
    int error = s->error;
    s->error = 0;
    forget_attempt(s);
    return error ? -error : begin_connect(s, to);
}

/* Both ends are on one machine, so no packets are sent. */
int stream_connect_path(struct sim_socket *s, const struct sim_path *path) {
    struct sim_socket *listener, *child;
    if (s->state != STREAM_NEW) {
        return s->state == STREAM_OPEN ? -EISCONN : -EINVAL;
    }
    int err = sim_path_find(s->machine, path, SOCK_STREAM, &listener);
    if (err < 0) {
        return err;
    }
    if (listener->state != STREAM_LISTENING) {
        return -ECONNREFUSED;
    }
    if (is_full(listener)) {
        return -EAGAIN;
    }
    make_flows(s, s->machine, true);
    s->state = STREAM_OPEN;
    s->established = s->announced = true;
    s->peer_path = listener->path;
    child = make_child(listener, s->out, s->in);
    child->path = listener->path;
    child->peer_path = s->path;
    stream_established(child);
    return 0;
}

/* ---- listen and accept ---- */

int stream_listen(struct sim_socket *s, int backlog) {
    bool nameless = s->family == AF_UNIX && s->path.size == 0;
    if (nameless || (s->state != STREAM_NEW && s->state != STREAM_LISTENING)) {
        return -EINVAL;
    }
    int err = sim_bind_if_unbound(s);
    if (err < 0) {
        return err;
    }
    enum stream_state before = s->state;
    s->state = STREAM_LISTENING;
    if (s->family != AF_UNIX && !machine_port_free(s->machine, s->type, s, &s->local)) {
        s->state = before;
        return -EADDRINUSE;
    }
    s->backlog = backlog < 0 || backlog > SOMAXCONN_KERNEL ? SOMAXCONN_KERNEL : backlog;
    return 0;
}

int stream_accept(struct sim_socket *s, struct sim_socket **child) {
    if (s->state != STREAM_LISTENING) {
        return -EINVAL;
    }
    if (s->children == NULL) {
        return -EAGAIN;
    }
    *child = s->children;
    s->children = (*child)->child_next;
    s->child_count--;
    (*child)->child_next = NULL;
    (*child)->listener = NULL;
    return 0;
}

void stream_leave_listener(struct sim_socket *child) {
    struct sim_socket *listener = child->listener;
    if (listener == NULL) {
        return;
    }
    for (struct sim_socket **at = &listener->children; *at != NULL; at = &(*at)->child_next) {
        if (*at == child) {
            *at = child->child_next;
            break;
        }
    }
    listener->child_count--;
    child->listener = NULL;
}

void stream_drop_children(struct sim_socket *listener) {
    struct sim_socket *next;
    for (struct sim_socket *s = listener->machine->sockets; s != NULL; s = next) {
        next = s->next;
        if (s->listener == listener) {
            stream_leave_listener(s);
            stream_reset(s);
            stream_fail(s, ECONNRESET);
        }
    }
}
