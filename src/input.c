/* SPDX-License-Identifier: MIT
 *
 * Input bytes. Bytes are received into one shared buffer, which is lent to the socket until
 * somebody else receives; only then is what it left behind copied to memory of its own. So most
 * messages are never copied but into their Lua string, and an idle connection holds no buffer.
 *
 * Invariant: while rt.sockets.lent == s, s->in.base is the shared buffer; a socket without input
 * owns no memory.
 */
#include <errno.h>
#include <string.h>

#include "driver.h"
#include "runtime.h"
#include "socket.h"

#define SMALLEST 4096

static void release(struct socket *s) {
    if (rt.sockets.lent == s) {
        rt.sockets.lent = NULL;
    }
    if (s->in.own != NULL) {
        runtime_free(s->in.own);
    }
    s->in = (struct input){0};
}

/* Have `room` bytes free behind what the socket's own buffer holds. */
static void reserve(struct socket *s, size_t room) {
    struct input *in = &s->in;
    size_t size = in->end - in->begin;
    if (in->base == in->own && in->own != NULL && in->capacity - in->end >= room) {
        return;
    }
    if (size + room <= in->capacity) {
        memmove(in->own, in->base + in->begin, size);
    } else {
        size_t capacity = in->capacity ? in->capacity : SMALLEST;
        while (capacity < size + room) {
            capacity *= 2;
        }
        if (in->begin == 0 && in->base == in->own) {
            in->own = runtime_realloc(in->own, capacity);
        } else {
            char *bigger = runtime_alloc(capacity);
            if (size > 0) {
                memcpy(bigger, in->base + in->begin, size);
            }
            runtime_free(in->own);
            in->own = bigger;
        }
        in->capacity = capacity;
    }
    in->base = in->own;
    in->begin = 0;
    in->end = size;
    if (rt.sockets.lent == s) {
        rt.sockets.lent = NULL;
    }
}

void input_settle(struct socket *s) {
    if (rt.sockets.lent != s) {
        return;
    }
    if (s->in.begin == s->in.end) {
        release(s);
    } else {
        reserve(s, 0);
    }
}

/* Takes `size` bytes; they stay readable until input is next received or trimmed. */
const char *input_take(struct socket *s, size_t size) {
    const char *data = s->in.base + s->in.begin;
    s->in.begin += size;
    socket_count_received(s, size);
    return data;
}

void input_trim(struct socket *s) {
    if (s->in.begin == s->in.end) {
        release(s);
    }
}

void input_discard(struct socket *s) {
    release(s);
}

/* The shared buffer becomes the socket's, which has no input. */
static void borrow(struct socket *s) {
    if (rt.sockets.lent != NULL && rt.sockets.lent != s) {
        input_settle(rt.sockets.lent);
    }
    release(s);
    rt.sockets.lent = s;
    s->in.base = rt.sockets.shared;
}

static void charge(ssize_t n) {
    task_spent(1 + (n > 0 ? (int)(n / TASK_BUDGET_BYTES) : 0));
}

ssize_t input_fill(struct socket *s, size_t wanted) {
    struct input *in = &s->in;
    size_t room;
    if (s->eof) {
        return 0;
    }
    if (s->watch.drained) {
        return -EAGAIN;
    }
    if (in->begin == in->end && wanted <= SHARED_SIZE) {
        borrow(s);
        room = SHARED_SIZE;
    } else {
        room = wanted < SMALLEST ? SMALLEST : wanted > SHARED_SIZE ? SHARED_SIZE : wanted;
        reserve(s, room);
        room = in->capacity - in->end;
    }
    ssize_t n = s->watch.driver->recv(s->watch.fd, in->base + in->end, room);
    charge(n);
    if (n > 0) {
        in->end += (size_t)n;
        s->watch.drained = (size_t)n < room;
        return n;
    }
    if (in->begin == in->end) {
        release(s);
    }
    s->eof = n == 0;
    s->watch.drained = n == -EAGAIN;
    return n;
}

ssize_t input_forward(struct socket *s, struct socket *to, size_t *moved) {
    size_t left = 0;
    *moved = 0;
    if (s->eof || s->watch.drained) {
        return s->eof ? 0 : -EAGAIN;
    }
    borrow(s);
    ssize_t n = s->watch.driver->forward(s->watch.fd, to->watch.fd, s->in.base, SHARED_SIZE, &left);
    charge(n);
    s->eof = n == 0;
    s->watch.drained = n == -EAGAIN;
    s->in.end = left;
    input_trim(s);
    if (n > 0) {
        *moved = (size_t)n - left;
        socket_count_received(s, *moved);
        socket_count_sent(to, *moved);
    }
    return n;
}
