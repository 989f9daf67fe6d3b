/* SPDX-License-Identifier: MIT
 *
 * Looking ahead in a stream: peek shows input without taking it, skip takes what peek has shown.
 * Together they let a parser look at a message as it arrives, each byte once, and take it when it is
 * whole. peek also tells how many bytes have been taken from the stream so far; given that number,
 * skip takes nothing if bytes have been taken since, so that a parser never takes bytes that
 * it has not seen.
 *
 * Invariant: a peek takes nothing, whatever ends it; a skip never waits.
 */
#include <errno.h>
#include <lauxlib.h>

#include "base/memory.h"
#include "net/methods.h"
#include "net/op.h"
#include "net/receive.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

#define LARGEST ((lua_Integer)1 << 48) /* no sum of three overflows */

static int failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

/* Pushes what lies behind the `from` bytes that the caller has seen, and the count taken so far. */
static int push_shown(lua_State *L, const struct op *op) {
    struct socket *s = op->socket;
    size_t from = op->as.peek.from, shown = input_size(s) - from;
    lua_Integer taken = s->box != NULL ? (lua_Integer)s->box->received : 0;
    lua_pushlstring(L, input_data(s) + from, shown < op->as.peek.most ? shown : op->as.peek.most);
    lua_pushinteger(L, taken);
    return 2;
}

/* How much to receive at once. If the call has not had to wait, there may be plenty: as much as it
 * may show. If it had to, the peer is slow, and its connection gets no large buffer. */
static size_t size_to_receive(const struct op *op) {
    size_t lacking = op->as.peek.from + op->as.peek.want - input_size(op->socket);
    bool plenty = op->start == 0 && op->as.peek.most > lacking;
    return input_size(op->socket) == 0 ? 0 : plenty ? op->as.peek.most : lacking;
}

static int attempt_peek(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    size_t from = op->as.peek.from;
    if (waitq_has_exclusive(&s->watch.readers)) {
        return result_error(L, "socket busy reading");
    }
    while (input_size(s) < from + op->as.peek.want) {
        if (scheduler.budget <= 0) {
            return WANT_TURN;
        }
        ssize_t n = input_fill(s, size_to_receive(op));
        if (n == -EAGAIN) {
            return WANT_READ;
        }
        if (n == NO_MEMORY) {
            return memory_no_memory(L);
        }
        if (n == 0 && input_size(s) > from) {
            break; /* less, at the end of the stream */
        }
        if (n <= 0) {
            return failed(L, op, receive_failure(s, n));
        }
    }
    return push_shown(L, op);
}

static const struct op_type peek_op = {"peek", attempt_peek, failed, NULL};

static size_t check_size(lua_State *L, int index, lua_Integer n, lua_Integer least) {
    luaL_argcheck(L, n >= least && n <= LARGEST, index,
                  least > 0 ? "positive number of bytes expected" : "number of bytes expected");
    return (size_t)n;
}

/* peek(n [, max [, from]]) -> the next n bytes, or up to max, that lie `from` bytes ahead, not taken
 * (fewer at the end of the stream), and how many have been taken so far | nil, message */
static int method_peek(lua_State *L) {
    struct op op;
    op_init(&op, &peek_op, socket_check(L, ANY_STREAM, "client"));
    lua_Integer n = luaL_checkinteger(L, 2);
    op.as.peek.want = check_size(L, 2, n, 1);
    op.as.peek.most = check_size(L, 3, luaL_optinteger(L, 3, n), 1);
    op.as.peek.from = check_size(L, 4, luaL_optinteger(L, 4, 0), 0);
    luaL_argcheck(L, op.as.peek.most >= op.as.peek.want, 3, "less than what is waited for");
    return op.socket == NULL ? failed(L, &op, "closed") : op_run(L, &op);
}

/* skip(n [, taken]) -> have the next n bytes, which must have come, been taken? Not if a count is
 * given and is not what has been taken so far, nor while another task receives. */
static int method_skip(lua_State *L) {
    struct socket *s = socket_check(L, ANY_STREAM, "client");
    size_t n = check_size(L, 2, luaL_checkinteger(L, 2), 0);
    lua_Integer taken = lua_isnoneornil(L, 3) ? -1 : luaL_checkinteger(L, 3);
    bool same = s != NULL && input_size(s) >= n && !waitq_has_exclusive(&s->watch.readers) &&
                (taken == -1 || taken == (lua_Integer)s->box->received);
    if (same && n > 0) {
        input_take(s, n);
        input_trim(s);
    }
    lua_pushboolean(L, same);
    return 1;
}

const luaL_Reg peek_methods[] = {
    {"peek", method_peek},
    {"skip", method_skip},
    {NULL, NULL},
};
