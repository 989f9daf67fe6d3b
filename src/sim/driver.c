/* SPDX-License-Identifier: MIT
 *
 * The simulated network as a driver: each function takes a system call's arguments, finds the socket,
 * and calls the file that implements it. A descriptor that does not belong to this run is EBADF in
 * every call.
 */
#include "kernel/driver.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/watch.h"
#include "sim/event.h"
#include "sim/machine.h"
#include "sim/run.h"
#include "sim/sim.h"
#include "sim/socket.h"
#include "sim/stream.h"

/* ---- sockets ---- */

static int sim_socket(int family, int type, int protocol) {
    (void)protocol;
    bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
    if (!known || (type != SOCK_STREAM && type != SOCK_DGRAM)) {
        return -EAFNOSUPPORT;
    }
    return sim_socket_give_fd(sim_socket_new(machine_current(), family, type));
}

static int sim_close(int fd) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    sim_socket_close(s);
    return 0;
}

static int sim_bind_name(int fd, const struct sockaddr *address, socklen_t length) {
    struct sim_socket *s = sim_socket_of(fd);
    struct sim_address a;
    struct sim_path path;
    if (s == NULL) {
        return -EBADF;
    }
    if (s->family == AF_UNIX) {
        int err = sim_path_from(address, length, &path);
        return err < 0 ? err : sim_path_bind(s, &path);
    }
    int err = sim_name_from(s, address, length, &a);
    return err < 0 ? err : sim_bind(s, &a);
}

static int sim_listen(int fd, int backlog) {
    struct sim_socket *s = sim_socket_of(fd);
    return s == NULL ? -EBADF : s->type != SOCK_STREAM ? -EOPNOTSUPP : stream_listen(s, backlog);
}

static int sim_accept(int fd, struct sockaddr_storage *peer, socklen_t *length) {
    struct sim_socket *s = sim_socket_of(fd), *child;
    int err = s == NULL ? -EBADF : stream_accept(s, &child);
    if (err < 0) {
        return err;
    }
    sim_name_to(child, &child->remote, &child->peer_path, peer, length);
    return sim_socket_give_fd(child);
}

static int sim_connect(int fd, const struct sockaddr *address, socklen_t length) {
    struct sim_socket *s = sim_socket_of(fd);
    struct sim_address a;
    struct sim_path path;
    if (s == NULL) {
        return -EBADF;
    }
    if (s->type == SOCK_DGRAM) {
        return datagram_connect(s, address, length);
    }
    if (s->family == AF_UNIX) {
        int err = sim_path_from(address, length, &path);
        return err < 0 ? err : stream_connect_path(s, &path);
    }
    int err = sim_name_from(s, address, length, &a);
    err = err < 0 ? err : sim_reach(s, &a);
    return err < 0 ? err : stream_connect(s, &a);
}

static int sim_shutdown(int fd, int how) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    return s->type == SOCK_STREAM ? stream_shutdown(s, how) : s->connected ? 0 : -ENOTCONN;
}

static int sim_getsockname(int fd, struct sockaddr_storage *address, socklen_t *length) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    sim_name_to(s, &s->local, &s->path, address, length);
    return 0;
}

static int sim_getpeername(int fd, struct sockaddr_storage *address, socklen_t *length) {
    struct sim_socket *s = sim_socket_of(fd);
    bool dead = s != NULL && (s->state == STREAM_DEAD || s->state == STREAM_CONNECTING);
    if (s == NULL || !s->connected || dead) {
        return s == NULL ? -EBADF : -ENOTCONN;
    }
    sim_name_to(s, &s->remote, &s->peer_path, address, length);
    return 0;
}

static int sim_getsockopt(int fd, int level, int name, void *value, socklen_t *length) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s != NULL && s->connected && level == SOL_SOCKET && name == SO_PEERNAME) {
        sim_name_to(s, &s->remote, &s->peer_path, value, length); /* also after a reset */
        return 0;
    }
    return s == NULL ? -EBADF : sim_option_get(s, level, name, value, length);
}

static int sim_setsockopt(int fd, int level, int name, const void *value, socklen_t length) {
    struct sim_socket *s = sim_socket_of(fd);
    return s == NULL ? -EBADF : sim_option_set(s, level, name, value, length);
}

/* ---- bytes and datagrams ---- */

static ssize_t receive_datagram(struct sim_socket *s, void *data, size_t size) {
    struct iovec part = {data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return datagram_take(s, &message);
}

static ssize_t sim_recv(int fd, void *data, size_t size) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    return s->type == SOCK_STREAM ? stream_recv(s, data, size) : receive_datagram(s, data, size);
}

static ssize_t sim_sendmsg(int fd, const struct msghdr *message) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    return s->type == SOCK_STREAM ? stream_send(s, message) : datagram_transmit(s, message);
}

static ssize_t transmit(struct sim_socket *s, struct msghdr *message) {
    return datagram_transmit(s, message);
}

/* Calls `call` for each message until one fails. Returns how many succeeded; if none did, the error. */
static int for_each(int fd, struct mmsghdr *messages, unsigned count,
                    ssize_t (*call)(struct sim_socket *s, struct msghdr *message)) {
    struct sim_socket *s = sim_socket_of(fd);
    if (s == NULL) {
        return -EBADF;
    }
    for (unsigned i = 0; i < count; i++) {
        ssize_t n = call(s, &messages[i].msg_hdr);
        if (n < 0) {
            return i > 0 ? (int)i : (int)n;
        }
        messages[i].msg_len = (unsigned)n;
    }
    return (int)count;
}

static int sim_recvmmsg(int fd, struct mmsghdr *messages, unsigned count) {
    return for_each(fd, messages, count, datagram_take);
}

static int sim_sendmmsg(int fd, struct mmsghdr *messages, unsigned count) {
    return for_each(fd, messages, count, transmit);
}

/* ---- readiness ---- */

static int sim_poll(struct pollfd *set, nfds_t count) {
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        struct sim_socket *s = sim_socket_of(set[i].fd);
        set[i].revents = 0;
        if (set[i].fd >= 0) {
            int events = s != NULL ? sim_socket_events(s) & set[i].events : POLLNVAL;
            set[i].revents = (short)events;
        }
        ready += set[i].revents != 0;
    }
    return ready;
}

static int sim_watch(struct watch *w, int events) {
    struct sim_socket *s = sim_socket_of(w->fd);
    if (s == NULL) {
        return -EBADF;
    }
    if (events != 0 && s->watch != NULL && s->watch != w && s->armed != 0) {
        return -EEXIST;
    }
    s->watch = w;
    s->armed = events;
    sim_socket_changed(s);
    return 0;
}

static struct watch *sim_watch_of(int fd) {
    struct sim_socket *s = sim_socket_of(fd);
    return s != NULL && s->armed != 0 ? s->watch : NULL;
}

/* ---- time ---- */

static double sim_wall(void) {
    return sim.epoch + (double)(events_clock() - SIM_BOOT) / 1e9;
}

static void sim_alarm(uint64_t due) {
    event_remove(&sim.alarm);
    if (due != NEVER) {
        event_add(&sim.alarm, due);
    }
}

const struct time_source time_sim = {
    .monotonic = events_clock,
    .wall = sim_wall,
    .alarm = sim_alarm,
};

const struct driver driver_sim = {
    .socket = sim_socket,
    .close = sim_close,
    .bind = sim_bind_name,
    .listen = sim_listen,
    .accept = sim_accept,
    .connect = sim_connect,
    .shutdown = sim_shutdown,
    .getsockname = sim_getsockname,
    .getpeername = sim_getpeername,
    .getsockopt = sim_getsockopt,
    .setsockopt = sim_setsockopt,
    .recv = sim_recv,
    .sendmsg = sim_sendmsg,
    .recvmmsg = sim_recvmmsg,
    .sendmmsg = sim_sendmmsg,
    .poll = sim_poll,
    .watch = sim_watch,
    .watch_of = sim_watch_of,
    .lookup = sim_lookup,
};
