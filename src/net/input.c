/* SPDX-License-Identifier: MIT
 *
 * Input bytes. They are received into one shared buffer, which is lent to the socket until another one
 * receives; only then is what is left in it copied to memory of the socket's own. So most messages are
 * copied once, into their Lua string, and an idle connection holds no buffer. Large messages that are
 * taken as a whole, one after the other, are not copied at all: they are received into memory that
 * becomes the string (inplace.c).
 *
 * Invariant: while sockets.lent == s, s->in.base is the shared buffer; a socket without input
 * owns no memory.
 */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/inplace.h"
#include "net/socket.h"

#define SMALLEST 4096

static void release(struct socket *s) {
    if (sockets.lent == s) {
        sockets.lent = NULL;
    }
    if (s->in.own != NULL) {
        inplace_resize(s->in.own, s->in.capacity, 0);
    }
    s->in = (struct input){0};
}

/* Moves the input to the socket's own buffer, with `space` bytes free behind it. False: no memory. */
static bool reserve(struct socket *s, size_t space) {
    struct input *in = &s->in;
    size_t size = in->end - in->begin;
    if (in->base == in->own && in->own != NULL && in->capacity - in->end >= space) {
        return true;
    }
    if (size + space <= in->capacity) {
        memmove(in->own, in->base + in->begin, size);
    } else {
        size_t capacity = in->capacity ? in->capacity : SMALLEST;
        while (capacity < size + space) {
            capacity *= 2;
        }
        bool grows = in->begin == 0 && in->base == in->own;
        char *bigger = grows ? inplace_resize(in->own, in->capacity, capacity)
                             : inplace_resize(NULL, 0, capacity);
        if (bigger == NULL) {
            return false;
        }
        if (!grows) {
            if (size > 0) {
                memcpy(bigger, in->base + in->begin, size);
            }
            inplace_resize(in->own, in->capacity, 0);
        }
        in->own = bigger;
        in->capacity = capacity;
    }
    in->base = in->own;
    in->begin = 0;
    in->end = size;
    if (sockets.lent == s) {
        sockets.lent = NULL;
    }
    return true;
}

/* Takes the shared buffer back from a socket: its input is copied. False: there is no memory. */
static __attribute__((noinline)) bool settle(struct socket *s) {
    if (s->in.begin < s->in.end) {
        return reserve(s, 0);
    }
    release(s);
    return true;
}

const char *input_take(struct socket *s, size_t size) {
    const char *data = s->in.base + s->in.begin;
    s->in.begin += size;
    socket_count_received(s, size);
    if (s->in.begin < s->in.end) {
        s->usual = 0;
    }
    return data;
}

void input_untake(struct socket *s, size_t size) {
    s->in.begin -= size;
    if (s->box != NULL) {
        s->box->received -= size;
    }
}

/* Notes that all input, `size` bytes, is taken as a whole. The usual size grows at once and falls slowly:
 * a small message may come once in a while. */
static void get_used_to(struct socket *s, size_t size) {
    size_t least = s->usual - s->usual / 8u;
    size_t usual = !s->watch.drained ? SHARED_SIZE : size < least ? least : size;
    s->usual = (uint16_t)(usual < SHARED_SIZE ? usual : SHARED_SIZE - 1);
}

bool input_push(lua_State *L, struct socket *s, size_t size) {
    struct input in = s->in;
    if (in.begin > 0 || in.end != size) {
        return false;
    }
    get_used_to(s, size);
    if (in.base != in.own || !inplace_fits(in.capacity, size)) {
        return false;
    }
    s->in = (struct input){0};
    socket_count_received(s, size);
    inplace_push(L, in.own, in.capacity, size);
    return true;
}

void input_trim(struct socket *s) {
    if (s->in.begin == s->in.end) {
        release(s);
    }
}

void input_discard(struct socket *s) {
    release(s);
}

/* Lends the shared buffer to a socket without input. False: another socket's input lies in it, and there
 * is no memory to copy that to. */
static inline bool borrow(struct socket *s) {
    if (sockets.lent != NULL && sockets.lent != s && !settle(sockets.lent)) {
        return false;
    }
    release(s);
    sockets.lent = s;
    s->in.base = sockets.shared;
    return true;
}

/* Gives a socket without input memory to receive into: memory that can become a string if its messages
 * are usually large and taken as a whole, else the shared buffer. Returns its size; 0: there is no memory.
 * In a simulation always the shared buffer, so that receives do not depend on what happened before. */
static size_t prepare(struct socket *s, size_t wanted) {
    if (s->usual < INPLACE_LEAST || rt.world != NULL || !inplace_useful()) {
        return borrow(s) ? SHARED_SIZE : 0;
    }
    size_t size = s->usual < wanted ? wanted : s->usual;
    size += size / 32 + 1; /* so that a receive which does not fill it has got everything */
    release(s);
    size = size < SHARED_SIZE / 2 ? size : SHARED_SIZE; /* bulk transfer: as much as comes */
    char *own = inplace_resize(NULL, 0, size);
    if (own == NULL) {
        return borrow(s) ? SHARED_SIZE : 0;
    }
    s->in.own = s->in.base = own;
    return s->in.capacity = size;
}

static void charge(ssize_t n) {
    task_spent(1 + (n > 0 ? (int)(n / TASK_BUDGET_BYTES) : 0));
}

ssize_t input_fill(struct socket *s, size_t wanted) {
    struct input *in = &s->in;
    size_t space;
    if (s->eof) {
        return 0;
    }
    if (s->watch.drained) {
        return -EAGAIN;
    }
    if (in->begin == in->end && wanted <= SHARED_SIZE) {
        space = prepare(s, wanted);
    } else {
        space = wanted < SMALLEST ? SMALLEST : wanted > SHARED_SIZE ? SHARED_SIZE : wanted;
        space = reserve(s, space) ? in->capacity - in->end : 0;
    }
    if (space == 0) {
        return NO_MEMORY;
    }
    ssize_t n = s->watch.driver->recv(s->watch.fd, in->base + in->end, space);
    s->received_in = state_tick_stamp();
    charge(n);
    if (n > 0) {
        in->end += (size_t)n;
        s->watch.drained = (size_t)n < space;
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
    if (!borrow(s)) {
        return NO_MEMORY;
    }
    ssize_t n = s->watch.driver->forward(s->watch.fd, to->watch.fd, s->in.base, SHARED_SIZE, &left);
    s->received_in = state_tick_stamp();
    charge(n);
    s->eof = n == 0;
    s->watch.drained = n == -EAGAIN;
    s->in.end = left;
    input_trim(s);
    if (n > 0) {
        *moved = (size_t)n - left;
        socket_count_received(s, *moved);
        socket_count_sent(to, *moved);
        to->out.wrote = true;
    }
    return n;
}
