/* SPDX-License-Identifier: MIT
 *
 * Sockets of the simulated kernel: descriptors, the addresses they are bound to, and readiness.
 *
 * Invariants: descriptor numbers begin far above the kernel's and are never used twice in a run, so
 * that closing a socket of a crashed program, collected late, closes no other one. Code that changes
 * the readiness of a socket calls sim_socket_changed(); watches are told between ticks, never within a
 * call.
 */
#include "sim/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/watch.h"
#include "sim/machine.h"
#include "sim/run.h"
#include "sim/sim.h"
#include "sim/stream.h"

static const unsigned char four_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static struct {
    struct sim_socket **sockets; /* by descriptor number, less SIM_FIRST_FD */
    size_t count, capacity;
    struct sim_socket *queue; /* those whose readiness may have changed, the latest first */
} table;

/* ---- descriptors ---- */

struct sim_socket *sim_socket_new(struct machine *m, int family, int type) {
    struct sim_socket *s = memory_alloc(sizeof(*s));
    *s = (struct sim_socket){.fd = -1, .family = family, .type = type, .machine = m};
    s->standard = -1;
    s->receive_buffer = type == SOCK_DGRAM ? SIM_DATAGRAM_BUFFER : SIM_BUFFER;
    s->send_buffer = type == SOCK_DGRAM ? SIM_DATAGRAM_BUFFER : SIM_BUFFER;
    if (family == AF_INET) {
        memcpy(s->local.ip, four_prefix, sizeof(four_prefix));
    }
    s->next = m->sockets;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    m->sockets = s;
    return s;
}

int sim_socket_give_fd(struct sim_socket *s) {
    if (table.count == table.capacity) {
        table.capacity = table.capacity ? 2 * table.capacity : 64;
        table.sockets = memory_realloc(table.sockets, table.capacity * sizeof(*table.sockets));
    }
    table.sockets[table.count] = s;
    s->fd = SIM_FIRST_FD + (int)table.count++;
    return s->fd;
}

struct sim_socket *sim_socket_of(int fd) {
    size_t index = (size_t)(fd - SIM_FIRST_FD);
    return fd >= SIM_FIRST_FD && index < table.count ? table.sockets[index] : NULL;
}

static void forget_fd(struct sim_socket *s) {
    if (s->fd >= 0) {
        table.sockets[s->fd - SIM_FIRST_FD] = NULL;
        s->fd = -1;
    }
    s->watch = NULL;
    s->armed = 0;
}

void sim_socket_close(struct sim_socket *s) {
    forget_fd(s);
    if (s->type == SOCK_STREAM) {
        stream_close(s);
    } else {
        sim_socket_free(s);
    }
}

void sim_socket_leave_flows(struct sim_socket *s) {
    if (s->out != NULL) {
        s->out->from = NULL;
    }
    if (s->in != NULL && s->in->to != NULL) {
        flow_orphan(s->in);
    }
}

void sim_socket_drop_flows(struct sim_socket *s) {
    sim_socket_leave_flows(s);
    if (s->in != NULL) {
        flow_release(s->in);
    }
    if (s->out != NULL) {
        flow_release(s->out);
    }
    s->in = s->out = NULL;
}

void sim_socket_free(struct sim_socket *s) {
    forget_fd(s);
    sim_path_leave(s);
    stream_leave_listener(s);
    sim_socket_drop_flows(s);
    datagrams_discard(s);
    groups_leave(s);
    sim_options_free(s);
    *(s->prev ? &s->prev->next : &s->machine->sockets) = s->next;
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->freed = true;
    if (!s->queued) {
        memory_free(s);
    }
}

/* ---- readiness ---- */

void sim_socket_changed(struct sim_socket *s) {
    if (!s->queued && s->armed != 0) {
        s->queued = true;
        s->queue_next = table.queue;
        table.queue = s;
    }
}

int sim_socket_events(const struct sim_socket *s) {
    if (s->type == SOCK_STREAM) {
        return stream_events(s);
    }
    return POLLOUT | (s->first != NULL || s->error != 0 ? POLLIN : 0);
}

/* Empties the queue and returns it, the earliest first. */
static struct sim_socket *take_queue(void) {
    struct sim_socket *in_order = NULL;
    while (table.queue != NULL) {
        struct sim_socket *s = table.queue;
        table.queue = s->queue_next;
        s->queue_next = in_order;
        in_order = s;
    }
    return in_order;
}

/* A socket that stays ready and watched is reported again next time: readiness is level-triggered. The
 * watch may close the socket while it is told; `queued` stays set until then, so that the memory is not
 * freed. */
bool sim_sockets_tell(void) {
    bool told = false;
    for (struct sim_socket *s = take_queue(), *next; s != NULL; s = next) {
        next = s->queue_next;
        int events = s->freed ? 0 : sim_socket_events(s) & s->armed;
        if (events != 0) {
            told = true;
            watch_ready(s->watch, events);
        }
        s->queued = false;
        if (s->freed) {
            memory_free(s);
        } else if (events != 0) {
            sim_socket_changed(s);
        }
    }
    return told;
}

/* ---- addresses ---- */

bool sim_is_four(const struct sim_address *a) {
    return memcmp(a->ip, four_prefix, sizeof(four_prefix)) == 0;
}

bool sim_is_wildcard(const struct sim_address *a) {
    static const unsigned char zeros[16];
    size_t skip = sim_is_four(a) ? sizeof(four_prefix) : 0;
    return memcmp(a->ip + skip, zeros, sizeof(a->ip) - skip) == 0;
}

bool sim_is_loopback(const struct sim_address *a) {
    static const unsigned char one[16] = {[15] = 1};
    return (sim_is_four(a) && a->ip[12] == 127) || memcmp(a->ip, one, sizeof(one)) == 0;
}

void sim_wildcard(struct sim_address *a) {
    size_t skip = sim_is_four(a) ? sizeof(four_prefix) : 0;
    memset(a->ip + skip, 0, sizeof(a->ip) - skip);
}

void sim_loopback(struct sim_address *a) {
    a->ip[12] = sim_is_four(a) ? 127 : 0;
    a->ip[15] = 1;
}

int sim_name_from(const struct sim_socket *s, const struct sockaddr *address, socklen_t length,
                  struct sim_address *to) {
    memset(to, 0, sizeof(*to));
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        memcpy(to->ip, four_prefix, sizeof(four_prefix));
        memcpy(to->ip + 12, &in->sin_addr, 4);
        to->port = ntohs(in->sin_port);
        return s->family == AF_INET ? 0 : -EAFNOSUPPORT;
    }
    if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        memcpy(to->ip, &in6->sin6_addr, 16);
        to->port = ntohs(in6->sin6_port);
        return s->family == AF_INET6 ? 0 : -EAFNOSUPPORT;
    }
    return s->family == AF_UNIX ? -EINVAL : -EAFNOSUPPORT;
}

void sim_name_to(const struct sim_socket *s, const struct sim_address *from,
                 const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length) {
    if (s->family == AF_UNIX) {
        sim_path_to(path, address, length);
    } else if (s->family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)address;
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)from->port)};
        memcpy(&in->sin_addr, from->ip + 12, 4);
        *length = sizeof(*in);
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                     .sin6_port = htons((uint16_t)from->port)};
        memcpy(&in6->sin6_addr, from->ip, 16);
        *length = sizeof(*in6);
    }
}

/* An IPv6 socket with IPV6_V6ONLY reaches no IPv4 address. */
int sim_reach(const struct sim_socket *s, const struct sim_address *to) {
    bool six_only = s->family == AF_INET6 && sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 0) != 0;
    return six_only && sim_is_four(to) ? -ENETUNREACH : 0;
}

/* ---- bind ---- */

int sim_bind(struct sim_socket *s, const struct sim_address *a) {
    struct sim_address wanted = *a;
    bool group = wanted.ip[0] == 0xff || (sim_is_four(a) && wanted.ip[12] >= 224);
    if (s->bound || s->state != STREAM_NEW) {
        return -EINVAL;
    }
    if (!sim_is_wildcard(a) && !group && !machine_owns(s->machine, a)) {
        return -EADDRNOTAVAIL;
    }
    if (wanted.port == 0) {
        int err = machine_ephemeral_port(s->machine, s->type, s, &wanted);
        if (err < 0) {
            return err;
        }
    } else if (!machine_port_free(s->machine, s->type, s, &wanted)) {
        return -EADDRINUSE;
    }
    s->fixed_address = !sim_is_wildcard(a);
    s->fixed_port = a->port != 0;
    s->local = wanted;
    s->bound = true;
    return 0;
}

int sim_bind_if_unbound(struct sim_socket *s) {
    struct sim_address any = s->local;
    return s->bound || s->family == AF_UNIX ? 0 : sim_bind(s, &any);
}

int sim_choose_local(struct sim_socket *s, const struct sim_address *peer) {
    int err = sim_bind_if_unbound(s);
    if (err == 0 && sim_is_wildcard(&s->local)) {
        unsigned port = s->local.port;
        machine_address(s->machine, !sim_is_four(peer), &s->local);
        if (sim_is_loopback(peer)) {
            memcpy(s->local.ip, peer->ip, sizeof(peer->ip));
        }
        s->local.port = port;
    }
    return err;
}

/* ---- standard streams ---- */

bool sim_hides_terminals(void) {
    return machine_current()->globals != LUA_NOREF;
}

/* A local stream with one end. All input is there from the beginning; output is handled by print() in
 * stream.c. */
int sim_standard(int number) {
    struct machine *m = machine_current();
    if (!sim_hides_terminals()) {
        return -1;
    }
    struct sim_socket *s = sim_socket_new(m, AF_UNIX, SOCK_STREAM);
    s->state = STREAM_OPEN;
    s->established = true;
    s->standard = number;
    s->in = flow_new(NULL, s, true);
    s->out = flow_new(s, NULL, true);
    s->in->references = s->out->references = 1;
    if (number == 0 && m->input_size > 0) {
        flow_give(s->in, m->input, m->input_size);
    }
    s->in->ended = true;
    flow_pump(s->in);
    return sim_socket_give_fd(s);
}

void sim_sockets_close(void) {
    for (unsigned i = 0; i < sim.machine_count; i++) {
        while (sim.machines[i]->sockets != NULL) {
            sim_socket_free(sim.machines[i]->sockets);
        }
    }
    for (struct sim_socket *s = take_queue(), *next; s != NULL; s = next) {
        next = s->queue_next;
        memory_free(s);
    }
    memory_free(table.sockets);
    memset(&table, 0, sizeof(table));
}
