/* SPDX-License-Identifier: MIT
 *
 * The receiving half of a stream: patterns served from the input buffer. Follows LuaSocket 3.1's
 * buffer.c in results (data, nil, nil | nil, message, partial) and in stripping every CR from "*l".
 * Where a unit ends is found by pattern.c.
 *
 * Invariant: bytes stay in the socket's input until they are returned, so that a cancelled receive loses
 * nothing. An attempt that has taken bytes does not look at the socket's input afterwards: a finalizer
 * may run in the push and use the same socket.
 */
#include "net/receive.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/memory.h"
#include "net/methods.h"
#include "net/pattern.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"
#include "task/usage.h"

#define PREFIX 3
#define LARGE \
    (32 * 1024) /* bytes of a result from which on a failure for want of memory must lose nothing */

/* ---- pushing ---- */

/* The first `shown` bytes at `data` as LuaSocket shows a line: without any CR. */
static void push_line(lua_State *L, const char *data, size_t shown) {
    const char *cr = shown > 0 ? memchr(data, '\r', shown) : NULL;
    shown -= cr != NULL && cr == data + shown - 1;
    bool inside = cr != NULL && cr < data + shown;
    lua_pushlstring(L, data, shown);
    if (inside) {
        pattern_strip_cr(L);
    }
}

/* Takes `size` bytes, of which the first `shown` become the result, behind the prefix. The bytes
 * are taken first and copied by the first push: a finalizer that runs later cannot move them. */
static inline void take(lua_State *L, const struct op *op, size_t size, size_t shown) {
    struct socket *s = op->socket;
    bool prefixed = op->as.receive.prefixed;
    if (op->as.receive.pattern == LINE) {
        push_line(L, input_take(s, size), shown);
    } else if (size != shown || !input_push(L, s, size)) {
        lua_pushlstring(L, input_take(s, size), shown);
    }
    if (prefixed) {
        lua_pushvalue(L, PREFIX);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
}

/* The argument of a protected take. */
struct taking {
    const struct op *op;
    size_t size, shown;
};

/* (taking, nil, prefix): the prefix is where an operation has it. */
static int protected_take(lua_State *L) {
    const struct taking *taking = lua_touserdata(L, 1);
    take(L, taking->op, taking->size, taking->shown);
    return 1;
}

/* As take(), for a large result: if there is no memory for it, the bytes are put back before the error is
 * raised again, unless a finalizer has received from the socket meanwhile. */
static __attribute__((noinline)) void take_large(lua_State *L, const struct op *op, size_t size,
                                                 size_t shown) {
    struct socket *s = op->socket;
    struct input before = s->in;
    struct taking taking = {op, size, shown};
    lua_pushcfunction(L, protected_take);
    lua_pushlightuserdata(L, &taking);
    lua_pushnil(L);
    if (op->as.receive.prefixed) {
        lua_pushvalue(L, PREFIX);
    } else {
        lua_pushnil(L);
    }
    if (lua_pcall(L, PREFIX, 1, 0) == LUA_OK) {
        return;
    }
    if (s->in.base == before.base && s->in.end == before.end &&
        s->in.begin == before.begin + size) {
        input_untake(s, size);
    }
    lua_error(L);
}

static void push_taken(lua_State *L, const struct op *op, size_t size, size_t shown) {
    if (size < LARGE && !op->as.receive.prefixed) {
        take(L, op, size, shown);
    } else {
        take_large(L, op, size, shown);
    }
    input_trim(op->socket);
}

/* Takes a line without an operation, if a whole one is in memory already, as in most calls of a busy loop.
 * False: it needs an operation. */
static inline bool take_line(lua_State *L, struct socket *s, int pattern) {
    bool plain = input_size(s) > 0 && waitq_is_empty(&s->watch.readers) && s->max_receive == 0;
    const char *data = input_data(s);
    const char *end = plain && scheduler.budget > 0 ? memchr(data, '\n', input_size(s)) : NULL;
    if (end == NULL || end - data >= LARGE) {
        return false;
    }
    input_take(s, (size_t)(end - data) + 1);
    if (pattern == LINE) {
        push_line(L, data, (size_t)(end - data));
    } else {
        lua_pushlstring(L, data, (size_t)(end - data) + 1);
    }
    input_trim(s);
    return true;
}

static int done(lua_State *L, struct op *op, size_t size, size_t shown) {
    push_taken(L, op, size, shown);
    if (op->as.receive.pattern > COUNT || op->as.receive.iterate) {
        return 1;
    }
    lua_pushnil(L);
    lua_pushnil(L);
    return 3;
}

/* nil, message, partial: all that has come and belongs to the unit asked for. */
static int failed(lua_State *L, struct op *op, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    if (op->as.receive.iterate && (op->socket->closed || strcmp(why, "closed") != 0)) {
        waitq_wake_first(&op->socket->watch.readers, WAKE_READY);
        return luaL_error(L, "%s", why); /* what has come stays for the next call */
    }
    size_t size = op->as.receive.pattern == ANY ? 0 : pattern_partial(op);
    push_taken(L, op, size, size);
    if (!op->as.receive.iterate) {
        return 3;
    }
    if (lua_rawlen(L, -1) == 0) {
        lua_pushnil(L);
    }
    return 1; /* the last, unterminated line, or the end */
}

/* ---- attempts ---- */

const char *receive_failure(struct socket *s, ssize_t n) {
    if (n == -ECONNRESET) {
        s->out.error = EPIPE; /* nothing can be sent any more */
        output_discard(s);    /* else select would wait until it is writable */
    }
    return n == 0 || n == -ENOTCONN ? "closed" : result_message((int)n);
}

static int ended(lua_State *L, struct op *op, ssize_t n) {
    bool all = op->as.receive.pattern == ALL;
    if (n == NO_MEMORY) {
        return memory_no_memory(L);
    }
    if (n == 0 && all && (op->as.receive.got || input_size(op->socket) > 0)) {
        return done(L, op, input_size(op->socket), input_size(op->socket));
    }
    if (op->as.receive.max > 0 && input_size(op->socket) > op->as.receive.max) {
        receive_failure(op->socket, n);
        return failed(L, op, "too long"); /* what looked like the beginning of its end was not */
    }
    return failed(L, op, receive_failure(op->socket, n));
}

static int attempt_receive(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    if (waitq_has_exclusive(&s->watch.readers)) {
        const char *why = "socket busy reading";
        return op->as.receive.iterate ? luaL_error(L, "%s", why) : result_error(L, why);
    }
    for (;;) {
        size_t size = 0, shown = 0;
        bool found = input_size(s) > 0 && pattern_find(op, &size, &shown);
        if (op->as.receive.max > 0 && pattern_exceeded(op, found, shown)) {
            return failed(L, op, "too long");
        }
        if (found) {
            return done(L, op, size, shown);
        }
        size_t wanted = op->as.receive.pattern == COUNT ? op->as.receive.want - input_size(s) : 0;
        if (scheduler.budget <= 0) {
            return WANT_TURN;
        }
        ssize_t n = input_fill(s, wanted);
        if (n == -EAGAIN) {
            return WANT_READ;
        }
        if (n <= 0) {
            return ended(L, op, n);
        }
        op->as.receive.got = true;
    }
}

static int run(lua_State *L, struct op *op) {
    if (op->socket == NULL) {
        lua_pushnil(L);
        lua_pushliteral(L, "closed");
        if (op->as.receive.prefixed) {
            lua_pushvalue(L, PREFIX);
        } else {
            lua_pushliteral(L, "");
        }
        return 3;
    }
    if (op->as.receive.max == 0 && op->as.receive.pattern != COUNT &&
        op->as.receive.pattern < ANY) {
        op->as.receive.max = op->socket->max_receive;
    }
    return op_run(L, op);
}

/* ---- methods ---- */

/* The pattern at index 2, LuaSocket's or Lua's: "*l", "l", a number of bytes, ... */
static void parse_pattern(lua_State *L, struct op *op) {
    const char *p = lua_type(L, 2) == LUA_TNUMBER ? "" : luaL_optstring(L, 2, "l");
    switch (p[*p == '*']) {
    case 'l': op->as.receive.pattern = LINE; return;
    case 'L': op->as.receive.pattern = LINE_WITH_END; return;
    case 'a': op->as.receive.pattern = ALL; return;
    default: break;
    }
    lua_Number n = lua_tonumber(L, 2); /* a string may hold the number */
    if (!lua_isnumber(L, 2) || !(n >= 0)) {
        lua_pushfstring(L,
                        "invalid receive pattern: '*l', '*L', '*a' or a number of bytes expected, "
                        "got '%s'",
                        lua_tostring(L, 2));
        luaL_argerror(L, 2, lua_tostring(L, -1));
    }
    op->as.receive.pattern = COUNT;
    op->as.receive.want = n < 9e15 ? (size_t)n : (size_t)9e15;
}

/* Subtracts the prefix from the bytes wanted. True: the prefix is all that was wanted. */
static bool complete_by_prefix(lua_State *L, struct op *op) {
    size_t prefix = 0;
    luaL_optlstring(L, PREFIX, "", &prefix);
    op->as.receive.prefixed = prefix > 0;
    if (op->as.receive.pattern != COUNT || prefix == 0) {
        return false;
    }
    op->as.receive.want -= op->as.receive.want < prefix ? op->as.receive.want : prefix;
    return op->as.receive.want == 0;
}

static const struct op_type receive_op = {"receive", attempt_receive, failed, NULL};
static const struct op_type receiveany_op = {"receiveany", attempt_receive, failed, NULL};
static const struct op_type receiveuntil_op = {"receiveuntil", attempt_receive, failed, NULL};
static const struct op_type lines_op = {"lines", attempt_receive, failed, NULL};

/* A line is asked for, by name or by nothing, and there is no prefix. */
static inline bool wants_line(lua_State *L) {
    int top = lua_gettop(L);
    if (top == 2 && lua_type(L, 2) == LUA_TSTRING) {
        const char *pattern = lua_tostring(L, 2);
        return pattern[*pattern == '*'] == 'l';
    }
    return top == 1;
}

/* receive([pattern [, prefix]]) -> data, nil, nil | nil, message, partial */
static int method_receive(lua_State *L) {
    struct socket *s = socket_check(L, ANY_STREAM, "client");
    bool plain = wants_line(L);
    if (plain && s != NULL && take_line(L, s, LINE)) {
        lua_pushnil(L);
        lua_pushnil(L);
        return 3;
    }
    struct op op;
    op_init(&op, &receive_op, s);
    if (plain) {
        op.as.receive.pattern = LINE;
    } else {
        lua_settop(L, PREFIX);
        parse_pattern(L, &op);
        if (complete_by_prefix(L, &op)) {
            lua_pushnil(L);
            lua_pushnil(L);
            return 3;
        }
    }
    return run(L, &op);
}

/* receiveany([max]) -> at least one byte | nil, message, "" */
static int method_receiveany(lua_State *L) {
    struct op op;
    op_init(&op, &receiveany_op, socket_check(L, ANY_STREAM, "client"));
    lua_Integer max = luaL_optinteger(L, 2, SHARED_SIZE);
    luaL_argcheck(L, max > 0, 2, "positive number of bytes expected");
    op.as.receive.pattern = ANY;
    op.as.receive.want = (size_t)max;
    return run(L, &op);
}

/* The options of receiveuntil, at index 3. */
static void read_options(lua_State *L, struct op *op) {
    luaL_checktype(L, 3, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        if (strcmp(name, "inclusive") == 0) {
            op->as.receive.inclusive = lua_toboolean(L, -1);
        } else if (strcmp(name, "max") == 0) {
            int is_integer;
            lua_Integer max = lua_tointegerx(L, -1, &is_integer);
            luaL_argcheck(L, is_integer && max > 0, 3, "max: positive number of bytes expected");
            op->as.receive.max = (size_t)max;
        } else {
            lua_createtable(L, 0, 2);
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "inclusive");
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, "max");
            const char *hint = usage_push_hint(L, name);
            luaL_argerror(L, 3, lua_pushfstring(L, "no such option '%s'%s", name, hint));
        }
    }
}

/* receiveuntil(delim [, {inclusive=, max=}]) -> string | nil, message, partial */
static int method_receiveuntil(lua_State *L) {
    struct op op;
    op_init(&op, &receiveuntil_op, socket_check(L, ANY_STREAM, "client"));
    size_t delim_size;
    op.as.receive.delim = luaL_checklstring(L, 2, &delim_size);
    luaL_argcheck(L, delim_size > 0, 2, "delimiter is empty");
    luaL_argcheck(L, delim_size <= INT32_MAX, 2, "delimiter is too long");
    op.as.receive.delim_size = (unsigned)delim_size;
    op.as.receive.pattern = UNTIL;
    op.as.receive.max = op.socket ? op.socket->max_receive : 0;
    if (!lua_isnoneornil(L, 3)) {
        read_options(L, &op);
    }
    return run(L, &op);
}

/* The arguments of lines(), parsed once for all lines. The iterator's other upvalue is the stream, which
 * keeps the box. */
struct lines {
    const struct socket_box *box;
    unsigned char pattern;
    size_t want;
};

static int next_line(lua_State *L) {
    const struct lines *lines = lua_touserdata(L, lua_upvalueindex(1));
    struct socket *s = lines->box->socket;
    if (s == NULL) {
        return luaL_error(L, "closed");
    }
    if (lines->pattern <= LINE_WITH_END && take_line(L, s, lines->pattern)) {
        return 1;
    }
    struct op op;
    op_init(&op, &lines_op, s);
    op.as.receive.pattern = lines->pattern;
    op.as.receive.want = lines->want;
    op.as.receive.iterate = true;
    return run(L, &op);
}

/* lines([pattern]) -> iterator: ends at the end of the stream, raises any other failure */
static int method_lines(lua_State *L) {
    struct op op;
    op_init(&op, &lines_op, socket_check(L, ANY_STREAM, "client"));
    parse_pattern(L, &op);
    if (op.as.receive.pattern == COUNT) {
        luaL_argcheck(L, luaL_checkinteger(L, 2) > 0, 2, "positive number of bytes expected");
    }
    lua_settop(L, 1);
    struct lines *lines = lua_newuserdatauv(L, sizeof(*lines), 0);
    *lines = (struct lines){socket_test(L, 1), op.as.receive.pattern, op.as.receive.want};
    lua_insert(L, 1);
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

bool receive_is_lines_of(lua_State *L, int index, const struct socket_box *box) {
    if (lua_tocfunction(L, index) != next_line || lua_getupvalue(L, index, 1) == NULL) {
        return false;
    }
    const struct lines *lines = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return lines->box == box;
}

const luaL_Reg receive_methods[] = {
    {"receive", method_receive},
    {"receiveany", method_receiveany},
    {"receiveuntil", method_receiveuntil},
    {"lines", method_lines},
    {NULL, NULL},
};
