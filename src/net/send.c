/* SPDX-License-Identifier: MIT
 *
 * The sending half of a stream: send, flush, shutdown and pipe. Output goes through output.c, which
 * corks it per tick. Results follow LuaSocket 3.1: last, nil, nil | nil, message, last, where `last`
 * is the index of the last byte that the runtime or the kernel owns: resuming at last + 1 repeats
 * and loses nothing.
 *
 * Messages are whole: while one send waits, another task's send queues behind it.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "kernel/driver.h"
#include "net/gather.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"
#include "base/memory.h"
#include "task/task.h"

/* ---- send ---- */

static int send_failed(lua_State *L, struct op *op, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, (lua_Integer)op->as.send.sent + op->as.send.first - 1);
    return 3;
}

static int push_last(lua_State *L, lua_Integer last) {
    lua_pushinteger(L, last);
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

static int sent_all(lua_State *L, struct op *op) {
    waitq_wake_first(&op->socket->watch.writers, WAKE_READY);
    return push_last(L, (lua_Integer)op->as.send.size + op->as.send.first - 1);
}

/* What a script is told of an error here, shutdown does not tell again. */
static int told(struct socket *s, int err) {
    s->out.told |= err < 0 && err != -EAGAIN;
    return err;
}

/* Must wait: while somebody's message is under way and, coming new, for those in line. Who has been
 * in line already was woken as its first: those he finds there now are behind him, unless one of
 * them has begun. That one stays the first, else it would never be woken again. */
static bool must_queue(struct op *op, const struct socket *s) {
    const struct waitq *line = &s->watch.writers;
    bool came_new = !op->queued;
    bool must = came_new ? waitq_has_exclusive(line) : waitq_has_begun(line);
    op->queued = came_new || !must;
    return must;
}

static int attempt_send(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    size_t sent = 0;
    if (!op->begun && must_queue(op, s)) {
        return WANT_WRITE;
    }
    if (s->out.error != 0 || s->out.ended) {
        s->out.told = true;
        return send_failed(L, op, s->out.ended ? "closed" : result_message(s->out.error));
    }
    op->begun = true;
    const char *rest = op->as.send.data + op->as.send.sent;
    size_t size = op->as.send.size - op->as.send.sent;
    if (!s->standard && output_cork(s, rest, size)) {
        op->as.send.sent += size;
        return sent_all(L, op);
    }
    int err =
        s->standard ? output_through(s, rest, size, &sent) : output_write(s, rest, size, &sent);
    op->as.send.sent += sent;
    if (err == -EAGAIN) {
        return WANT_WRITE;
    }
    return told(s, err) < 0 ? send_failed(L, op, result_message(err)) : sent_all(L, op);
}

/* An index as LuaSocket takes it: any number, cut to an integer. */
static lua_Integer opt_index(lua_State *L, int index, lua_Integer otherwise) {
    lua_Number n = luaL_optnumber(L, index, (lua_Number)otherwise);
    luaL_argcheck(L, n == n, index, "index expected, got nan");
    return n >= -9e15 && n <= 9e15 ? (lua_Integer)n
           : n > 0                 ? LUA_MAXINTEGER / 2
                                   : -LUA_MAXINTEGER / 2;
}

/* Nothing keeps bytes from being sent now: nobody in line, no failure, no turn used up. (It is closed
 * if a finalizer did that while what to send was made a string.) */
static inline bool goes_at_once(const struct socket *s) {
    return s->box != NULL && waitq_is_empty(&s->watch.writers) && s->out.error == 0 &&
           !s->out.ended && !s->standard && scheduler.budget > 0;
}

/* What most sends come to: all of it is corked, or the kernel takes it. How much went is told in any
 * case; an error is kept for the operation to meet. */
static inline size_t send_at_once(struct socket *s, const char *data, size_t size) {
    size_t sent = 0;
    if (!goes_at_once(s)) {
        return 0;
    }
    if (output_cork(s, data, size)) {
        return size;
    }
    if (!s->out.blocked) {
        output_write(s, data, size, &sent);
    }
    return sent;
}

/* The strings of a table are corked as they are, if they are few. */
static bool send_pieces(lua_State *L, struct socket *s, size_t *size) {
    struct iovec pieces[GATHER_MOST];
    size_t count = goes_at_once(s) ? gather_pieces(L, 2, pieces, size) : 0;
    return count > 0 && *size > 0 && output_cork_pieces(s, pieces, count, *size);
}

static const struct op_type send_op = {"send", attempt_send, send_failed, false};

/* An operation for what is not sent at once: a part of data, what must wait, what fails. Of the whole
 * `sent` bytes may have gone. */
static __attribute__((noinline)) int send_rest(lua_State *L, struct socket *s, const char *data,
                                               size_t size, size_t sent) {
    lua_Integer first = opt_index(L, 3, 1);
    lua_Integer last = opt_index(L, 4, -1);
    first = first < 0 ? (lua_Integer)size + first + 1 : first;
    last = last < 0 ? (lua_Integer)size + last + 1 : last;
    first = first < 1 ? 1 : first;
    last = last > (lua_Integer)size ? (lua_Integer)size : last;
    if (first > last) {
        return push_last(L, first - 1);
    }
    struct op op;
    op_init(&op, &send_op, s);
    op.as.send.first = (long)first;
    op.as.send.data = data + first - 1;
    op.as.send.size = (size_t)(last - first + 1);
    op.as.send.sent = sent;
    op.begun = sent > 0;
    if (s == NULL) {
        return send_failed(L, &op, "closed");
    }
    bool under_way = sent > 0 && s->out.error == 0; /* nobody may come between */
    return under_way ? op_wait(L, &op, WANT_WRITE) : op_run(L, &op);
}

static inline int send_string(lua_State *L, struct socket *s, const char *data, size_t size) {
    bool whole = lua_gettop(L) <= 2 && size > 0 && s != NULL;
    size_t sent = whole ? send_at_once(s, data, size) : 0;
    return whole && sent == size ? push_last(L, (lua_Integer)size)
                                 : send_rest(L, s, data, size, sent);
}

static __attribute__((noinline)) int send_table(lua_State *L, struct socket *s) {
    size_t size;
    luaL_argexpected(L, lua_istable(L, 2), 2, "string");
    if (s != NULL && lua_gettop(L) == 2 && send_pieces(L, s, &size)) {
        return push_last(L, (lua_Integer)size);
    }
    const char *data = gather_string(L, 2, &size);
    return send_string(L, s, data, size);
}

/* send(data [, i [, j]]) -> last, nil, nil | nil, message, last; data: string or table */
static int method_send(lua_State *L) {
    struct socket *s = socket_check(L, ANY_STREAM, "client");
    size_t size;
    const char *data = lua_tolstring(L, 2, &size);
    return data != NULL ? send_string(L, s, data, size) : send_table(L, s);
}

/* ---- flush ---- */

static int result_only(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

static int attempt_flush(lua_State *L, struct op *op) {
    if (must_queue(op, op->socket)) {
        return WANT_WRITE;
    }
    int err = output_flush(op->socket);
    if (err == -EAGAIN) {
        return WANT_WRITE;
    }
    waitq_wake_first(&op->socket->watch.writers, WAKE_READY);
    return result_ok(L, told(op->socket, err));
}

static const struct op_type flush_op = {"flush", attempt_flush, result_only, false};

/* flush() -> 1 once the kernel has everything that was sent | nil, message */
static int method_flush(lua_State *L) {
    struct op op;
    op_init(&op, &flush_op, socket_check(L, ANY_STREAM, "client"));
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

/* ---- shutdown ---- */

/* Ends the sending side once everything sent has gone out. 0, or -errno of what could not be sent
 * and has not been reported before. */
static int stream_shutdown_send(struct socket *s) {
    int err = output_flush(s);
    if (s->standard) {
        return err == -EAGAIN ? 0 : err; /* others use the same stream: it is not ours to end */
    }
    if (err == -EAGAIN) {
        s->out.shutdown = true;
        err = 0;
    } else {
        s->watch.driver->shutdown(s->watch.fd, SHUT_WR);
    }
    err = s->out.told ? 0 : err;
    s->out.ended = s->out.told = true;
    return err;
}

/* shutdown([mode]) -> 1 | nil, message; what was sent before is delivered first */
static int method_shutdown(lua_State *L) {
    enum { RECEIVE, SEND, BOTH };
    static const char *const modes[] = {"receive", "send", "both", NULL};
    struct socket *s = socket_check(L, ANY_STREAM, "client");
    int mode = luaL_checkoption(L, 2, "both", modes);
    if (s == NULL) {
        return result_ok(L, 1);
    }
    if (mode != SEND) {
        s->watch.drained = false;
        s->watch.driver->shutdown(s->watch.fd, SHUT_RD);
    }
    int err = mode != RECEIVE ? stream_shutdown_send(s) : 0;
    return result_ok(L, err < 0 ? err : 1);
}

/* ---- pipe ---- */

#define PIPE_ERRNO 1000 /* keeps -errno apart from WANT_* */
#define PIPE_BULK 16384 /* bytes in one round from which not copying them pays */

static int pipe_failed(lua_State *L, struct op *op, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, (lua_Integer)op->as.pipe.moved);
    return 3;
}

static struct socket *stream_at(lua_State *L, int index) {
    return ((struct socket_box *)lua_touserdata(L, index))->socket;
}

static int pipe_ended(lua_State *L, struct op *op, struct socket *to, ssize_t n) {
    if (n == NO_MEMORY) {
        return memory_no_memory(L);
    }
    if (n < 0) {
        return pipe_failed(L, op, result_message((int)n));
    }
    int err = stream_shutdown_send(to); /* what was sent before may have met an error as well */
    if (err < 0) {
        return pipe_failed(L, op, result_message(err));
    }
    lua_pushinteger(L, (lua_Integer)op->as.pipe.moved);
    return 1;
}

/* Has `to` room? 0, -EAGAIN or -errno. */
static int pipe_room(struct op *op, struct socket *to) {
    if (must_queue(op, to)) {
        return -EAGAIN;
    }
    return to->out.blocked ? told(to, output_flush(to)) : 0;
}

/* Receives into the input of `from`, unless `to`, which has nothing pending, can take it as it is. */
static ssize_t pipe_receive(struct op *op, struct socket *from, struct socket *to) {
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
        op->as.pipe.bulk = n >= PIPE_BULK && (moved == 0 || input_size(from) == 0);
    }
    return n;
}

/* One round: make room, receive, write. 1: moved something, 0: the end of `from`, WANT_* or -errno
 * below them. */
static ssize_t pipe_round(struct op *op, struct socket *from, struct socket *to) {
    ssize_t n = pipe_room(op, to);
    op->socket = from;
    op->as.pipe.other = to;
    if (n == -EAGAIN) {
        op->socket = to;
        op->as.pipe.other = from;
        return WANT_WRITE;
    }
    if (n == 0 && input_size(from) == 0) {
        n = pipe_receive(op, from, to);
        if (n == 0 || n == -EAGAIN) {
            return n == 0 ? 0 : WANT_READ;
        }
    }
    if (n < 0) {
        return n - PIPE_ERRNO;
    }
    size_t sent = 0;
    int err = 0;
    if (input_size(from) > 0) {
        err = told(to, output_write(to, input_data(from), input_size(from), &sent));
        op->as.pipe.moved += sent;
        input_take(from, sent);
        input_trim(from);
        if (err == -EAGAIN && to->out.size == 0) { /* no memory to hold back the rest */
            op->socket = to;
            op->as.pipe.other = from;
            return WANT_WRITE;
        }
    }
    op->queued = false; /* others may send between two rounds */
    waitq_wake_first(&to->watch.writers, WAKE_READY);
    return err < 0 && err != -EAGAIN ? err - PIPE_ERRNO : 1;
}

static int attempt_pipe(lua_State *L, struct op *op) {
    for (;;) {
        struct socket *from = stream_at(L, 1);
        struct socket *to = stream_at(L, 2);
        if (from == NULL || to == NULL) {
            return pipe_failed(L, op, "closed");
        }
        if (waitq_has_exclusive(&from->watch.readers)) {
            return pipe_failed(L, op, "socket busy reading");
        }
        if (scheduler.budget <= 0) {
            op->socket = from;
            op->as.pipe.other = to;
            return WANT_TURN;
        }
        ssize_t n = pipe_round(op, from, to);
        if (n == WANT_READ || n == WANT_WRITE) {
            return (int)n;
        }
        if (n <= 0) {
            return pipe_ended(L, op, to, n < 0 ? n + PIPE_ERRNO : 0);
        }
    }
}

static const struct op_type pipe_op = {"pipe", attempt_pipe, pipe_failed, false};

/* a:pipe(b) -> bytes moved until a's end, which is passed on | nil, message, bytes moved */
static int method_pipe(lua_State *L) {
    struct op op;
    op_init(&op, &pipe_op, socket_check(L, ANY_STREAM, "client"));
    struct socket_box *to = socket_test(L, 2);
    luaL_argcheck(L, to != NULL && (CLASS(socket_class(to)) & ANY_STREAM), 2,
                  "stream socket expected");
    if (op.socket == NULL || to->socket == NULL) {
        return pipe_failed(L, &op, "closed");
    }
    lua_settop(L, 2);
    op.paired = true;
    op.as.pipe.other = to->socket;
    op.as.pipe.end = lua_newuserdatauv(L, sizeof(*op.as.pipe.end), 0);
    return op_run(L, &op);
}

const luaL_Reg send_methods[] = {
    {"send", method_send},
    {"flush", method_flush},
    {"shutdown", method_shutdown},
    {"pipe", method_pipe},
    {NULL, NULL},
};
