/* SPDX-License-Identifier: MIT
 *
 * A socket's life: making, descriptors, closing. socket.h states who owns what; what scripts see of every
 * socket is in class.c.
 *
 * Invariant: closing never waits and may be repeated. What a closed socket has yet to send is delivered
 * in the background (drain.c).
 */
#include "net/socket.h"

#include <assert.h>
#include <lauxlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/options.h"
#include "task/task.h"

/* ---- objects ---- */

struct socket *socket_new(lua_State *L, enum socket_class class, int family) {
    return socket_new_at(L, class, family, location_here(L));
}

struct socket *socket_new_at(lua_State *L, enum socket_class class, int family,
                             struct location at) {
    if (rt.closing) {
        location_error(L, "the runtime is closing: no socket can be made");
    }
    struct socket_box *box = socket_push_box(L, class);
    struct socket *s = memory_try_take(sizeof(*s));
    if (s == NULL) {
        memory_no_memory(L);
        return NULL;
    }
    *s = (struct socket){.box = box, .class = class, .family = (sa_family_t)family};
    watch_init(&s->watch, rt.driver, -1);
    s->watch.is_socket = true;
    box->timeout = (struct timeout){-1, -1};
    box->born = (double)clock_now() / 1e9;
    s->made_at = at;
    s->domain = scheduler.current ? scheduler.current->domain : 0;
    s->all_next = sockets.all;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s;
    }
    sockets.all = s;
    sockets.open++;
    box->socket = s;
    return s;
}

void socket_adopt(struct socket *s, int fd) {
    assert(s->watch.fd < 0);
    s->watch.fd = fd;
}

int socket_create_descriptor(struct socket *s, int family) {
    if (s->watch.fd >= 0) {
        return 0;
    }
    int fd = s->watch.driver->socket(family, socket_type(s), 0);
    if (fd < 0) {
        return fd;
    }
    s->family = (sa_family_t)family;
    socket_adopt(s, fd);
    options_start(s->watch.driver, fd, family, socket_type(s));
    int err = options_replay(s, fd);
    return err;
}

/* ---- closing ---- */

static void unlink_socket(struct socket *s) {
    sockets.open--;
    *(s->all_prev ? &s->all_prev->all_next : &sockets.all) = s->all_next;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s->all_prev;
    }
}

void socket_bury(struct socket *s) {
    if (s->watch.fd >= 0) {
        watch_stop(&s->watch);
        s->watch.driver->close(s->watch.fd);
        s->watch.fd = -1;
    }
    output_discard(s);
    unlink_socket(s);
    s->all_next = sockets.dead;
    sockets.dead = s;
}

static void end(struct socket *s, bool at_once) {
    if (s->closed) {
        return;
    }
    struct socket_box *box = s->box;
    options_forget(s);
    s->closed = true;
    box->socket = NULL;
    s->box = NULL;
    if (socket_type(s) == SOCK_DGRAM) {
        datagrams_release(s);
        datagrams_forget(s);
    }
    waitq_wake_all(&s->watch.readers, WAKE_CLOSED);
    waitq_wake_all(&s->watch.writers, WAKE_CLOSED);
    if (CLASS(s->class) & ANY_STREAM) {
        waitq_wake_line(&s->pipes, WAKE_CLOSED);
    }
    if (s->watch.fd < 0 || !drain_start(s, box, at_once)) {
        socket_bury(s);
    }
}

/* After a reset getpeername() fails with ENOTCONN; SO_PEERNAME still answers, if asked with the exact
 * size of the address. */
bool socket_peer(const struct socket *s, struct address *a) {
    const struct driver *driver = s->watch.driver;
    int fd = s->watch.fd;
    a->length = sizeof(a->storage);
    if (fd < 0 || s->class == FILE_STREAM) {
        return false;
    }
    if (driver->getpeername(fd, &a->storage, &a->length) == 0) {
        return true;
    }
    a->length = s->family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return driver->getsockopt(fd, SOL_SOCKET, SO_PEERNAME, &a->storage, &a->length) == 0;
}

void socket_close(struct socket *s) {
    end(s, false);
}

void socket_abort(struct socket *s) {
    end(s, true);
    drain_abort(s);
}

bool socket_awaited(const struct socket *s) {
    return !waitq_is_empty(&s->watch.readers) || !waitq_is_empty(&s->watch.writers);
}

void sockets_free_dead(void) {
    struct socket **link = &sockets.dead;
    while (*link != NULL) {
        struct socket *s = *link;
        if (socket_awaited(s) || s->out.corked) {
            link = &s->all_next;
            continue;
        }
        *link = s->all_next;
        input_discard(s);
        memory_give_back(s, sizeof(*s));
    }
}

void sockets_close_all(void) {
    struct socket *next;
    for (struct socket *s = sockets.all; s != NULL; s = next) {
        next = s->all_next;
        socket_close(s);
        drain_hurry(s);
    }
}

void sockets_force_close(void) {
    struct socket *next;
    for (struct socket *s = sockets.all; s != NULL; s = next) {
        next = s->all_next;
        drain_abort(s);
    }
}

void sockets_close(void) {
    outputs_free_blocks();
    memory_free(sockets.shared);
    sockets.shared = NULL;
}
