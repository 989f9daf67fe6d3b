/* SPDX-License-Identifier: MIT
 *
 * A socket's life: creation, adoption of descriptors, close. socket.h states who owns what; what
 * scripts see of every socket is in socket_lua.c.
 *
 * `close`, `__gc` and `__close` are the same idempotent function and never yield. What a closed
 * socket has yet to send goes on in the background (a drain), bounded by DRAIN_NS without progress;
 * SO_LINGER with time 0 discards it instead.
 */
#include "socket.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "datagram.h"
#include "driver.h"
#include "options.h"
#include "runtime.h"

#define DRAIN_NS (30ull * 1000 * 1000 * 1000)

struct drain {
    struct timer limit; /* first: see drain_expired */
    struct socket *socket;
    uint64_t received, sent; /* as its box has said */
};

/* ---- objects ---- */

struct socket *socket_new(lua_State *L, enum socket_class class, int family) {
    return socket_new_at(L, class, family, place_here(L));
}

struct socket *socket_new_at(lua_State *L, enum socket_class class, int family, struct place at) {
    if (rt.closing) {
        place_error(L, "the runtime is closing: no socket can be made");
    }
    struct socket_box *box = socket_push_box(L, class);
    struct socket *s = runtime_take(sizeof(*s));
    *s = (struct socket){.box = box, .class = class, .family = (sa_family_t)family};
    watch_init(&s->watch, rt.driver, -1);
    s->watch.is_socket = true;
    box->timeout = (struct timeout){-1, -1};
    box->born = (double)clock_now() / 1e9;
    s->made_at = at;
    s->owner = rt.tasks.current ? rt.tasks.current->owner : 0;
    s->all_next = rt.sockets.all;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s;
    }
    rt.sockets.all = s;
    rt.sockets.open++;
    box->socket = s;
    return s;
}

int socket_type(const struct socket *s) {
    return CLASS(s->class) & ANY_DGRAM ? SOCK_DGRAM : SOCK_STREAM;
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

/* ---- the end of a life ---- */

static void unlink_socket(struct socket *s) {
    rt.sockets.open--;
    *(s->all_prev ? &s->all_prev->all_next : &rt.sockets.all) = s->all_next;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s->all_prev;
    }
}

/* Lets go of the descriptor and queues the struct to be freed at the end of the tick. */
static void bury(struct socket *s) {
    if (s->watch.fd >= 0) {
        watch_stop(&s->watch);
        s->watch.driver->close(s->watch.fd);
        s->watch.fd = -1;
    }
    output_discard(s);
    unlink_socket(s);
    s->all_next = rt.sockets.dead;
    rt.sockets.dead = s;
}

static void drain_expired(struct timer *timer) {
    socket_drained(((struct drain *)timer)->socket, -ETIMEDOUT);
}

/* From now on. A socket of the world may be closed while a simulation runs, which is another driver. */
static void limit_drain(struct socket *s) {
    if (s->watch.driver == rt.driver) {
        timer_set(&s->drain->limit, clock_now() + DRAIN_NS);
    } else {
        timer_set_outside(&s->drain->limit, DRAIN_NS);
    }
}

void socket_drained(struct socket *s, int err) {
    if (err == -EAGAIN) {
        limit_drain(s);
        return;
    }
    timer_remove(&s->drain->limit);
    runtime_free(s->drain);
    s->drain = NULL;
    rt.sockets.draining--;
    bury(s);
}

static bool discards_on_close(struct socket *s) {
    struct linger linger = {0, 0};
    socklen_t length = sizeof(linger);
    int err = s->watch.driver->getsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &linger, &length);
    return err == 0 && linger.l_onoff && linger.l_linger == 0;
}

static bool start_drain(struct socket *s, const struct socket_box *box) {
    if (s->out.size == 0 || discards_on_close(s) || output_flush(s) != -EAGAIN) {
        return false;
    }
    s->drain = runtime_alloc(sizeof(*s->drain));
    *s->drain = (struct drain){.limit = {.due = NEVER, .fire = drain_expired},
                               .socket = s,
                               .received = box->received,
                               .sent = box->sent};
    rt.sockets.draining++;
    limit_drain(s);
    watch_arm(&s->watch, POLLOUT);
    return true;
}

void socket_close(struct socket *s) {
    if (s->closed) {
        return;
    }
    struct socket_box *box = s->box;
    s->closed = true;
    box->socket = NULL;
    s->box = NULL;
    if (socket_type(s) == SOCK_DGRAM) {
        datagrams_release(s);
        datagrams_forget(s);
    }
    waitq_wake_all(&s->watch.readers, WAKE_CLOSED);
    waitq_wake_all(&s->watch.writers, WAKE_CLOSED);
    if (!start_drain(s, box)) {
        bury(s);
    }
}

void socket_traffic(const struct socket *s, uint64_t *received, uint64_t *sent) {
    *received = s->box != NULL ? s->box->received : s->drain != NULL ? s->drain->received : 0;
    *sent = s->box != NULL ? s->box->sent : s->drain != NULL ? s->drain->sent : 0;
}

void socket_abort(struct socket *s) {
    socket_close(s);
    if (s->drain != NULL) {
        socket_drained(s, -ECONNABORTED);
    }
}

/* Does a task wait for it? */
bool socket_awaited(const struct socket *s) {
    return s->watch.readers.first != NULL || s->watch.writers.first != NULL;
}

void sockets_free_dead(void) {
    struct socket **link = &rt.sockets.dead;
    while (*link != NULL) {
        struct socket *s = *link;
        if (socket_awaited(s) || s->out.corked) {
            link = &s->all_next;
            continue;
        }
        *link = s->all_next;
        input_discard(s);
        options_forget(s);
        runtime_give_back(s, sizeof(*s));
    }
}

void sockets_close_all(void) {
    struct socket *next;
    for (struct socket *s = rt.sockets.all; s != NULL; s = next) {
        next = s->all_next;
        socket_close(s);
    }
}

void sockets_force_close(void) {
    struct socket *next;
    for (struct socket *s = rt.sockets.all; s != NULL; s = next) {
        next = s->all_next;
        if (s->drain != NULL) {
            socket_drained(s, -ETIMEDOUT);
        }
    }
}

void sockets_close(void) {
    outputs_free_blocks();
    runtime_free(rt.sockets.shared);
    rt.sockets.shared = NULL;
}
