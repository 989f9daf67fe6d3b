/* SPDX-License-Identifier: MIT
 *
 * a:pipe(b): moves bytes from one stream to another until the first ends, and passes its end on. It is
 * one operation that waits for one of the two streams at a time, and ends when either is closed.
 *
 * Invariant: bytes that have been received and not yet written are in the input of `from`, so that
 * whatever ends the pipe, the script can still receive them. While it waits, others may not receive from
 * `from`; between two rounds they may send to `to`.
 */
#include <errno.h>
#include <lauxlib.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/methods.h"
#include "net/op.h"
#include "net/result.h"
#include "net/send.h"
#include "net/socket.h"
#include "task/task.h"

#define BULK 16384 /* bytes in one round from which on it pays to let the kernel move them */

static int failed(lua_State *L, struct op *op, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, (lua_Integer)op->as.pipe.moved);
    return 3;
}

/* The stream at an index; NULL: it has been closed. */
static struct socket *stream_at(lua_State *L, int index) {
    return ((struct socket_box *)lua_touserdata(L, index))->socket;
}

/* `from` has ended or failed with n: passes the end on to `to`, and pushes the results. */
static int ended(lua_State *L, struct op *op, struct socket *to, ssize_t n) {
    if (n == NO_MEMORY) {
        return memory_no_memory(L);
    }
    if (n < 0) {
        return failed(L, op, result_message((int)n));
    }
    int err = send_end(to); /* what was sent before may have met an error as well */
    if (err < 0) {
        return failed(L, op, result_message(err));
    }
    lua_pushinteger(L, (lua_Integer)op->as.pipe.moved);
    return 1;
}

/* Makes `to` ready to take bytes: 0, -EAGAIN if it must be waited for, or -errno. */
static int make_ready(struct op *op, struct socket *to) {
    if (send_line_up(op, to)) {
        return -EAGAIN;
    }
    return to->out.blocked ? send_mark_told(to, output_flush(to)) : 0;
}

/* Receives into the input of `from`. If much came last time and `to` has nothing pending, the kernel is
 * asked to move the bytes itself; only what `to` does not take becomes input. As input_fill() returns. */
static ssize_t receive(struct op *op, struct socket *from, struct socket *to) {
    const struct driver *driver = from->watch.driver;
    size_t moved = 0;
    ssize_t n = -EOPNOTSUPP;
    if (op->as.pipe.bulk && driver == to->watch.driver && driver->forward &&
        output_flush(to) == 0) {
        n = input_forward(from, to, &moved);
        op->as.pipe.moved += moved;
    }
    if (n == -EOPNOTSUPP) {
        n = input_fill(from, 0);
    }
    if (n >= 0) {
        op->as.pipe.bulk = n >= BULK && (moved == 0 || input_size(from) == 0);
    }
    return n;
}

/* Sets whose readiness the operation waits for, and whose close ends it as well. */
static void wait_for(struct op *op, struct socket *s, struct socket *other) {
    op->socket = s;
    op->other->socket = other;
}

/* One round: make `to` ready, receive, write. 1: something was moved, 0: the end of `from`, WANT_* or
 * -errno. */
static ssize_t move_some(struct op *op, struct socket *from, struct socket *to) {
    ssize_t n = make_ready(op, to);
    wait_for(op, from, to);
    if (n == -EAGAIN) {
        wait_for(op, to, from);
        return WANT_WRITE;
    }
    if (n == 0 && input_size(from) == 0) {
        n = receive(op, from, to);
        if (n == 0 || n == -EAGAIN) {
            return n == 0 ? 0 : WANT_READ;
        }
    }
    if (n < 0) {
        return n;
    }
    size_t sent = 0;
    int err = 0;
    if (input_size(from) > 0) {
        err = send_mark_told(to, output_write(to, input_data(from), input_size(from), &sent));
        op->as.pipe.moved += sent;
        input_take(from, sent);
        input_trim(from);
        if (err == -EAGAIN && to->out.size == 0) { /* no memory to hold back the rest */
            wait_for(op, to, from);
            return WANT_WRITE;
        }
    }
    op->queued = false; /* others may send between two rounds */
    waitq_wake_first(&to->watch.writers, WAKE_READY);
    return err < 0 && err != -EAGAIN ? err : 1;
}

static int attempt_pipe(lua_State *L, struct op *op) {
    for (;;) {
        struct socket *from = stream_at(L, 1);
        struct socket *to = stream_at(L, 2);
        if (from == NULL || to == NULL) {
            return failed(L, op, "closed");
        }
        if (waitq_has_exclusive(&from->watch.readers)) {
            return failed(L, op, "socket busy reading");
        }
        if (scheduler.budget <= 0) {
            wait_for(op, from, to);
            return WANT_TURN;
        }
        ssize_t n = move_some(op, from, to);
        if (n == WANT_READ || n == WANT_WRITE) {
            return (int)n;
        }
        if (n <= 0) {
            return ended(L, op, to, n);
        }
    }
}

static const struct op_type pipe_op = {"pipe", attempt_pipe, failed, NULL};

/* a:pipe(b) -> bytes moved until a's end, which is passed on | nil, message, bytes moved */
static int method_pipe(lua_State *L) {
    struct op op;
    op_init(&op, &pipe_op, socket_check(L, ANY_STREAM, "client"));
    struct socket_box *to = socket_test(L, 2);
    luaL_argcheck(L, to != NULL && (CLASS(socket_class(to)) & ANY_STREAM), 2,
                  "stream socket expected");
    if (op.socket == NULL || to->socket == NULL) {
        return failed(L, &op, "closed");
    }
    lua_settop(L, 2);
    op.other = lua_newuserdatauv(L, sizeof(*op.other), 0);
    *op.other = (struct op_other){.socket = NULL}; /* set by each round */
    return op_run(L, &op);
}

const luaL_Reg pipe_methods[] = {
    {"pipe", method_pipe},
    {NULL, NULL},
};
