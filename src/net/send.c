/* SPDX-License-Identifier: MIT
 *
 * The sending half of a stream: send, flush and shutdown. Output goes through output.c, which corks it
 * per tick. Results follow LuaSocket 3.1: last, nil, nil | nil, message, last, where `last` is the index
 * of the last byte that has been handed to the runtime or the kernel: a script that goes on at last + 1
 * repeats and loses nothing.
 *
 * Invariant: a message is sent as a whole. While one send waits, another task's send queues behind it.
 */
#include "net/send.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

/* ---- tables ---- */

/* A table given to send holds strings, numbers and such tables, which together are one message. A few
 * strings are sent from where they lie; anything else is first made one string, which costs one copy,
 * as table.concat does. */

#define MOST_PIECES 16 /* sent from where they lie */

/* The strings of the table at `index`, if it holds nothing else and at most MOST_PIECES: how many, and
 * `size` bytes together. They are anchored by the table. 0: gather_string is needed. */
static size_t gather_pieces(lua_State *L, int index, struct iovec *pieces, size_t *size) {
    size_t count = lua_rawlen(L, index);
    *size = 0;
    for (size_t i = 0; i < count && count <= MOST_PIECES; i++) {
        bool is_string = lua_rawgeti(L, index, (lua_Integer)i + 1) == LUA_TSTRING;
        const char *data = is_string ? lua_tolstring(L, -1, &pieces[i].iov_len) : NULL;
        lua_pop(L, 1); /* the table still anchors it */
        if (data == NULL) {
            return 0;
        }
        pieces[i].iov_base = (void *)(uintptr_t)data;
        *size += pieces[i].iov_len;
    }
    return count <= MOST_PIECES ? count : 0;
}

/* Appends a table's strings, numbers and tables, in order; guards against cycles by depth. */
static void add_table(lua_State *L, luaL_Buffer *b, int index, int depth) {
    luaL_argcheck(L, depth < 100, 2, "table is nested too deeply");
    lua_Integer n = (lua_Integer)lua_rawlen(L, index);
    luaL_checkstack(L, 4, "table is nested too deeply");
    for (lua_Integer i = 1; i <= n; i++) {
        int type = lua_rawgeti(L, index, i);
        if (type == LUA_TTABLE) {
            int nested = lua_gettop(L);
            luaL_Buffer inner;
            luaL_buffinit(L, &inner);
            add_table(L, &inner, nested, depth + 1);
            luaL_pushresult(&inner);
            lua_remove(L, nested);
        } else if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            luaL_error(L, "bad argument #1 to 'send' (element %I: string expected, got %s)", i,
                       lua_typename(L, type));
        }
        luaL_addvalue(b);
    }
}

/* Replaces the table at `index` by one string and returns that; raises if it holds anything else. */
static const char *gather_string(lua_State *L, int index, size_t *size) {
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    add_table(L, &b, index, 0);
    luaL_pushresult(&b);
    lua_replace(L, index);
    return lua_tolstring(L, index, size);
}

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

int send_mark_told(struct socket *s, int err) {
    s->out.told |= err < 0 && err != -EAGAIN;
    return err;
}

/* Must the operation wait for others that send? A new one waits for all that are in line. One that has
 * been in line was woken as the first of it, so that those in line now came later: it waits only for a
 * message that is under way. */
static bool must_wait(const struct op *op, const struct socket *s) {
    const struct waitq *line = &s->watch.writers;
    return op->queued ? waitq_has_begun(line) : waitq_has_exclusive(line);
}

/* An operation that waits for a message under way goes behind it, not before: if the one that has begun
 * were not the first in line, it would never be woken again. */
bool send_line_up(struct op *op, const struct socket *s) {
    bool wait = must_wait(op, s);
    op->queued = !op->queued || !wait;
    return wait;
}

static int attempt_send(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    size_t sent = 0;
    if (!op->begun && send_line_up(op, s)) {
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
    return send_mark_told(s, err) < 0 ? send_failed(L, op, result_message(err)) : sent_all(L, op);
}

/* An index as LuaSocket takes it: any number, with its fraction cut off. */
static lua_Integer opt_index(lua_State *L, int index, lua_Integer otherwise) {
    lua_Number n = luaL_optnumber(L, index, (lua_Number)otherwise);
    luaL_argcheck(L, n == n, index, "index expected, got nan");
    return n >= -9e15 && n <= 9e15 ? (lua_Integer)n
           : n > 0                 ? LUA_MAXINTEGER / 2
                                   : -LUA_MAXINTEGER / 2;
}

/* May bytes be sent without an operation? Only if nobody is in line, nothing has failed and the turn is
 * not used up. (The socket is closed if a finalizer closed it while a table was made a string.) */
static inline bool goes_at_once(const struct socket *s) {
    return s->box != NULL && waitq_is_empty(&s->watch.writers) && s->out.error == 0 &&
           !s->out.ended && !s->standard && scheduler.budget > 0;
}

/* What most calls of send need: the bytes are corked, or the kernel takes them. Returns how many were
 * taken; an error is kept in the socket, for the operation that sends the rest. */
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

/* Corks the strings of a table from where they lie. False: they are too many, or cannot be corked. */
static bool send_pieces(lua_State *L, struct socket *s, size_t *size) {
    struct iovec pieces[MOST_PIECES];
    size_t count = goes_at_once(s) ? gather_pieces(L, 2, pieces, size) : 0;
    return count > 0 && *size > 0 && output_cork_pieces(s, pieces, count, *size);
}

static const struct op_type send_op = {"send", attempt_send, send_failed, NULL};

/* Runs an operation for what was not sent at once: part of a string, what must wait, what fails. `sent`
 * bytes of the whole string may have been sent already. */
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
    bool under_way = sent > 0 && s->out.error == 0; /* no other message may come between */
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
    if (send_line_up(op, op->socket)) {
        return WANT_WRITE;
    }
    int err = output_flush(op->socket);
    if (err == -EAGAIN) {
        return WANT_WRITE;
    }
    waitq_wake_first(&op->socket->watch.writers, WAKE_READY);
    return result_ok(L, send_mark_told(op->socket, err));
}

static const struct op_type flush_op = {"flush", attempt_flush, result_only, NULL};

/* flush() -> 1 once the kernel has everything that was sent | nil, message */
static int method_flush(lua_State *L) {
    struct op op;
    op_init(&op, &flush_op, socket_check(L, ANY_STREAM, "client"));
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

/* ---- shutdown ---- */

int send_end(struct socket *s) {
    int err = output_flush(s);
    if (s->standard) {
        return err == -EAGAIN ? 0 : err; /* other processes use the same stream */
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
    int err = mode != RECEIVE ? send_end(s) : 0;
    return result_ok(L, err < 0 ? err : 1);
}

const luaL_Reg send_methods[] = {
    {"send", method_send},
    {"flush", method_flush},
    {"shutdown", method_shutdown},
    {NULL, NULL},
};
