/* SPDX-License-Identifier: MIT
 *
 * Datagrams: UDP to one machine, by broadcast to all, by multicast to those that joined; and unix
 * datagrams, which cross nothing and lose nothing.
 *
 * Invariant: a datagram arrives whole, or not at all. If the receiver's buffer is full it is dropped
 * silently. Only a connected socket learns that no socket was bound to the target.
 */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "sim/machine.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/socket.h"

#define OVERHEAD 768     /* of the receiver's buffer, for each datagram; roughly the kernel's */
#define UNIX_OVERHEAD 32 /* of the sender's buffer, for a unix datagram */
#define UNIX_QUEUE 10    /* Linux, net.unix.max_dgram_qlen */

/* ---- the receiving socket ---- */

/* How well the packet's addresses fit the socket's: 0: it is not for this socket. */
static int fits(struct sim_socket *s, const struct packet *p) {
    if (s->type != SOCK_DGRAM || s->family == AF_UNIX || !s->bound ||
        s->local.port != p->target.port) {
        return 0;
    }
    bool four = sim_is_four(&p->target);
    bool wildcard = sim_is_wildcard(&s->local);
    bool dual = !sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 0) && !sim_is_four(&s->local);
    bool here = wildcard ? sim_is_four(&s->local) == four || (four && dual)
                         : memcmp(s->local.ip, p->target.ip, sizeof(s->local.ip)) == 0;
    bool from_peer = s->remote.port == p->source.port &&
                     memcmp(s->remote.ip, p->source.ip, sizeof(s->remote.ip)) == 0;
    if (!here || (s->connected && !from_peer)) {
        return 0;
    }
    if (sim_is_multicast(&p->target) && !group_heard(s->machine, &p->target)) {
        return 0;
    }
    return 1 + 2 * s->connected + !wildcard;
}

static void append(struct sim_socket *s, struct packet *p) {
    s->waiting += p->size + OVERHEAD;
    s->queued_packets++;
    p->next = NULL;
    *(s->first ? &s->last->next : &s->first) = p;
    s->last = p;
    sim_socket_changed(s);
}

static void append_or_drop(struct sim_socket *s, struct packet *p) {
    if (s->waiting + p->size + OVERHEAD > s->receive_buffer) {
        packet_mark(p, VERDICT_FULL);
        packet_free(p);
    } else {
        append(s, p);
    }
}

static struct packet *copy_of(const struct packet *p) {
    struct packet *copy = packet_new(p->kind, p->from, p->to, p->size);
    *copy = *p;
    memcpy(copy->data, p->data, p->size);
    return copy;
}

static void deliver_to_group(struct packet *p) {
    for (struct sim_socket *s = p->to->sockets; s != NULL; s = s->next) {
        if (fits(s, p) > 0) {
            append_or_drop(s, copy_of(p));
        }
    }
    packet_free(p);
}

/* ---- no socket is bound there ---- */

static void unreachable_arrived(struct packet *p) {
    for (struct sim_socket *s = p->to->sockets; s != NULL; s = s->next) {
        if (s->connected && fits(s, p) > 0) {
            s->error = ECONNREFUSED;
            sim_socket_changed(s);
        }
    }
    packet_free(p);
}

static void refuse(struct packet *p) {
    packet_mark(p, VERDICT_REFUSED);
    struct packet *answer = packet_new(PACKET_UNREACHABLE, p->to, p->from, 0);
    answer->source = p->target;
    answer->target = p->source;
    answer->arrive = unreachable_arrived;
    packet_free(p);
    packet_send(answer);
}

static void arrived(struct packet *p) {
    struct sim_socket *best = NULL;
    int fit = 0;
    if (p->group) {
        deliver_to_group(p);
        return;
    }
    for (struct sim_socket *s = p->to->sockets; s != NULL; s = s->next) {
        if (fits(s, p) > fit) {
            fit = fits(s, p);
            best = s;
        }
    }
    if (best != NULL) {
        append_or_drop(best, p);
    } else {
        refuse(p);
    }
}

/* ---- sending ---- */

static size_t size_of(const struct msghdr *message) {
    size_t size = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        size += message->msg_iov[i].iov_len;
    }
    return size;
}

static struct packet *packet_of(const struct msghdr *message, struct machine *from,
                                struct machine *to, size_t extra) {
    struct packet *p = packet_new(PACKET_DATAGRAM, from, to, size_of(message) + extra);
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        memcpy(p->data + p->size, message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
        p->size += message->msg_iov[i].iov_len;
    }
    p->arrive = arrived;
    return p;
}

static void send_to(struct sim_socket *s, const struct msghdr *message, struct machine *to,
                    const struct sim_address *target, bool group) {
    struct packet *p = packet_of(message, s->machine, to, 0);
    p->target = *target;
    p->source = s->local;
    p->group = group;
    if (sim_is_wildcard(&s->local)) {
        machine_address(s->machine, !sim_is_four(target), &p->source);
        if (sim_is_loopback(target)) {
            memcpy(p->source.ip, target->ip, sizeof(p->source.ip));
        }
        if (group && sim_is_loopback(target)) {
            sim_wildcard(&p->source);
            sim_loopback(&p->source);
        }
    }
    packet_send(p);
}

static int send_to_group(struct sim_socket *s, const struct msghdr *message,
                         const struct sim_address *target) {
    bool broadcast = sim_is_broadcast(target);
    bool six = !sim_is_four(target), own = sim_is_loopback(target);
    int ttl = six ? sim_option_int(s, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1)
                  : sim_option_int(s, IPPROTO_IP, IP_MULTICAST_TTL, 1);
    bool loop = broadcast || (six ? sim_option_int(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1)
                                  : sim_option_int(s, IPPROTO_IP, IP_MULTICAST_LOOP, 1));
    if (broadcast && !sim_option_int(s, SOL_SOCKET, SO_BROADCAST, 0)) {
        return -EACCES;
    }
    for (unsigned i = 0; i < sim.machine_count; i++) {
        struct machine *m = sim.machines[i];
        if (m == s->machine ? loop : !own && (broadcast || ttl != 0)) {
            send_to(s, message, m, target, true);
        }
    }
    return 0;
}

static ssize_t send_inet(struct sim_socket *s, const struct msghdr *message) {
    struct sim_address target = s->remote;
    size_t size = size_of(message);
    if (message->msg_name != NULL) {
        int err = sim_name_from(s, message->msg_name, message->msg_namelen, &target);
        if (err < 0) {
            return err;
        }
    } else if (!s->connected) {
        return -EDESTADDRREQ;
    }
    if (target.port == 0 || sim_reach(s, &target) < 0) {
        return target.port == 0 ? -EINVAL : -ENETUNREACH;
    }
    if (size > 65535 - 8 - (sim_is_four(&target) ? 20 : 0)) {
        return -EMSGSIZE;
    }
    int err = sim_bind_if_unbound(s);
    if (err < 0) {
        return err;
    }
    if (sim_is_multicast(&target) || sim_is_broadcast(&target)) {
        err = send_to_group(s, message, &target);
        return err < 0 ? err : (ssize_t)size;
    }
    if (sim_is_wildcard(&target)) {
        sim_loopback(&target);
    }
    send_to(s, message, machine_at(&target, s->machine), &target, false);
    return (ssize_t)size;
}

/* The socket to which a unix socket sends: the one with the message's address, or its peer. A peer that
 * was closed is ECONNREFUSED once; then the socket is not connected any more. */
static int find_receiver(struct sim_socket *s, const struct msghdr *message,
                         struct sim_socket **to) {
    struct sim_path path;
    if (message->msg_name != NULL) {
        int err = sim_path_from(message->msg_name, message->msg_namelen, &path);
        return err < 0 ? err : sim_path_find(s->machine, &path, SOCK_DGRAM, to);
    }
    if (!s->connected) {
        return -ENOTCONN;
    }
    *to = sim_socket_of(s->peer_fd);
    s->connected = *to != NULL;
    return *to == NULL ? -ECONNREFUSED : 0;
}

/* Delivers at once. If the receiver's queue is full that is EAGAIN, as under Linux. */
static ssize_t send_unix(struct sim_socket *s, const struct msghdr *message) {
    struct sim_socket *to;
    size_t size = size_of(message);
    int err = find_receiver(s, message, &to);
    if (err < 0) {
        return err;
    }
    if (to->connected && to->peer_fd != s->fd) {
        return -EPERM;
    }
    if (size > s->send_buffer - UNIX_OVERHEAD) {
        return -EMSGSIZE;
    }
    if (to->queued_packets > UNIX_QUEUE) {
        return -EAGAIN;
    }
    struct packet *p = packet_of(message, s->machine, s->machine, s->path.size);
    p->path_size = s->path.size;
    memcpy(p->data + p->size, s->path.bytes, s->path.size);
    append(to, p);
    return (ssize_t)size;
}

ssize_t datagram_transmit(struct sim_socket *s, const struct msghdr *message) {
    if (s->error) {
        int error = s->error;
        s->error = 0;
        return -error;
    }
    return s->family == AF_UNIX ? send_unix(s, message) : send_inet(s, message);
}

/* ---- receiving ---- */

static size_t copy_to(const struct msghdr *message, const struct packet *p) {
    size_t done = 0;
    for (size_t i = 0; i < message->msg_iovlen && done < p->size; i++) {
        size_t size = p->size - done;
        size = size < message->msg_iov[i].iov_len ? size : message->msg_iov[i].iov_len;
        memcpy(message->msg_iov[i].iov_base, p->data + done, size);
        done += size;
    }
    return done;
}

ssize_t datagram_take(struct sim_socket *s, struct msghdr *message) {
    struct packet *p = s->first;
    if (s->error) {
        int error = s->error;
        s->error = 0;
        return -error;
    }
    if (p == NULL) {
        return -EAGAIN;
    }
    s->first = p->next;
    s->waiting -= p->size + OVERHEAD;
    s->queued_packets--;
    size_t size = copy_to(message, p);
    if (message->msg_name != NULL) {
        struct sim_path path = {.size = p->path_size};
        memcpy(path.bytes, p->data + p->size, p->path_size);
        sim_name_to(s, &p->source, &path, message->msg_name, &message->msg_namelen);
    }
    message->msg_flags = size < p->size ? MSG_TRUNC : 0;
    packet_free(p);
    return (ssize_t)size;
}

void datagrams_discard(struct sim_socket *s) {
    while (s->first != NULL) {
        struct packet *p = s->first;
        s->first = p->next;
        packet_free(p);
    }
}

/* ---- peers ---- */

static int connect_path(struct sim_socket *s, const struct sockaddr *address, socklen_t length) {
    struct sim_path path;
    struct sim_socket *to;
    int err = sim_path_from(address, length, &path);
    err = err < 0 ? err : sim_path_find(s->machine, &path, SOCK_DGRAM, &to);
    if (err < 0) {
        return err;
    }
    if (to->connected && to->peer_fd != s->fd) {
        return -EPERM;
    }
    s->peer_path = path;
    s->peer_fd = to->fd;
    s->connected = true;
    return 0;
}

/* The local address that connect() chose is dropped with the peer; one given to bind() stays. */
static int disconnect(struct sim_socket *s) {
    memset(&s->remote, 0, sizeof(s->remote));
    s->connected = false;
    if (!s->fixed_address) {
        sim_wildcard(&s->local);
    }
    if (!s->fixed_port) {
        s->local.port = 0;
        s->bound = false;
    }
    return 0;
}

int datagram_connect(struct sim_socket *s, const struct sockaddr *address, socklen_t length) {
    struct sim_address to;
    if (address->sa_family == AF_UNSPEC) {
        return disconnect(s);
    }
    if (s->family == AF_UNIX) {
        return connect_path(s, address, length);
    }
    int err = sim_name_from(s, address, length, &to);
    if (err < 0 || sim_reach(s, &to) < 0) {
        return err < 0 ? err : -ENETUNREACH;
    }
    if (sim_is_wildcard(&to)) {
        sim_loopback(&to);
    }
    if (sim_is_broadcast(&to) && !sim_option_int(s, SOL_SOCKET, SO_BROADCAST, 0)) {
        return -EACCES;
    }
    if (!s->fixed_address) {
        sim_wildcard(&s->local);
    }
    err = sim_choose_local(s, &to);
    if (err == 0) {
        s->remote = to;
        s->connected = true;
    }
    return err;
}
