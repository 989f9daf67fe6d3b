/* SPDX-License-Identifier: MIT
 *
 * sendmany: a list of datagrams in one call. Two passes: the first checks every entry and finds its
 * address (a name may suspend the task), the second sends. So if one entry is bad, nothing is sent.
 *
 * Invariant: the list is the script's and may change while the task waits; the second pass takes
 * addresses from the first, and refuses an entry that no longer holds a string.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/address.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/resolve.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

#define SELF 1
#define LIST 2
#define PLAN 3

struct plan {
    lua_Integer count;
    lua_Integer found; /* addresses found so far */
    bool connected;    /* then no addresses are needed */
    const char *host;  /* of the last entry, anchored by the user value; compared as a pointer */
    int port;          /* of the entry being looked up */
    struct address to[];
};

static int send_many_failed(lua_State *L, struct op *op, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, op->as.datagram.done);
    return 3;
}

/* ---- the second pass ---- */

/* Pushes the datagram of entry i: the entry itself or its first element. */
static const char *push_data(lua_State *L, lua_Integer i, size_t *size) {
    if (lua_rawgeti(L, LIST, i) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
    const char *data = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, size) : NULL;
    if (data == NULL) {
        luaL_error(L, "bad argument #1 to 'sendmany' (entry %I: string expected)", i);
    }
    return data;
}

static int attempt_send_many(lua_State *L, struct op *op) {
    struct plan *plan = lua_touserdata(L, PLAN);
    struct socket *s = op->socket;
    for (; op->as.datagram.done < plan->count; op->as.datagram.done++) {
        size_t size;
        if (s->watch.fd < 0) {
            return send_many_failed(L, op, "closed");
        }
        if (scheduler.budget <= 0) {
            return WANT_WRITE_TURN;
        }
        const char *data = push_data(L, op->as.datagram.done + 1, &size);
        struct address *to = plan->connected ? NULL : &plan->to[op->as.datagram.done];
        int err = datagram_queue(s, data, size, to);
        lua_pop(L, 1);
        if (err == -EAGAIN) {
            return s->family == AF_UNIX ? WANT_PAUSE : WANT_WRITE;
        }
        if (err < 0) {
            return send_many_failed(L, op, result_message(err));
        }
    }
    int err = datagrams_take_error(op->socket);
    if (err < 0) {
        return send_many_failed(L, op, result_message(err));
    }
    lua_pushinteger(L, plan->count);
    return 1;
}

static const struct op_type send_many_op = {"sendmany", attempt_send_many, send_many_failed, NULL};

static int send_all(lua_State *L) {
    struct op op;
    op_init(&op, &send_many_op, socket_test(L, SELF)->socket);
    return op.socket ? op_run(L, &op) : send_many_failed(L, &op, "closed");
}

/* ---- the first pass ---- */

static int look_up(lua_State *L, struct plan *plan);

static int nothing_sent(lua_State *L, const char *why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    lua_pushinteger(L, 0);
    return 3;
}

/* The address of the next entry has been found: 0, or the number of results if the socket cannot have a
 * descriptor of its family. */
static int accept_address(lua_State *L, struct plan *plan) {
    struct socket *s = socket_test(L, SELF)->socket;
    const struct address *a = &plan->to[plan->found];
    int err = s ? socket_create_descriptor(s, a->storage.ss_family) : 0;
    plan->found++;
    return err < 0 ? nothing_sent(L, result_message(err)) : 0;
}

static int looked_up(lua_State *L, int status, lua_KContext ctx) {
    struct lookup *lookup = (struct lookup *)ctx;
    struct plan *plan = lua_touserdata(L, PLAN);
    (void)status;
    enum wake why = lookup_resumed(lookup);
    if (why != WAKE_READY) {
        return why == WAKE_DEADLINE ? nothing_sent(L, "timeout") : task_raise(L);
    }
    if (lookup_take(L, lookup, plan->port, &plan->to[plan->found]) != 0) {
        return nothing_sent(L, lua_tostring(L, -1));
    }
    int failure = accept_address(L, plan);
    return failure ? failure : look_up(L, plan);
}

enum found { NUMERIC, NAME, NOWHERE };

/* Finds the address of the entry on top of the stack. NAME: it must be looked up, and the host is on top;
 * NOWHERE: there is none, and the results are on top. */
static enum found find_address(lua_State *L, struct socket *s, struct plan *plan) {
    lua_Integer i = plan->found + 1;
    struct address *a = &plan->to[plan->found];
    const char *host = lua_rawgeti(L, -1, 2) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    if (host == NULL) {
        luaL_error(L, "bad argument #1 to 'sendmany' (entry %I: no address)", i);
    }
    if (s->family == AF_UNIX) {
        bool fits = address_unix(host, lua_rawlen(L, -1), a) == 0;
        if (!fits) {
            nothing_sent(L, lua_pushfstring(L, "entry %I: path too long", i));
        }
        return fits ? NUMERIC : NOWHERE;
    }
    if (!(lua_rawgeti(L, -2, 3) == LUA_TNUMBER || lua_isstring(L, -1))) {
        luaL_error(L, "bad argument #1 to 'sendmany' (entry %I: port expected)", i);
    }
    if (address_check_port(L, lua_gettop(L), &plan->port) != 0) {
        nothing_sent(L, lua_pushfstring(L, "entry %I: %s", i, lua_tostring(L, -1)));
        return NOWHERE;
    }
    lua_pop(L, 1);
    if (host == plan->host && plan->found > 0) {
        *a = plan->to[plan->found - 1];
        address_set_port(a, plan->port);
        return NUMERIC;
    }
    plan->host = host;
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, PLAN, 1);
    if (address_parse(host, plan->port, s->family, a)) {
        return NUMERIC;
    }
    if (address_check_host(L, host) != 0) {
        nothing_sent(L, lua_tostring(L, -1));
        return NOWHERE;
    }
    return NAME;
}

static int look_up(lua_State *L, struct plan *plan) {
    while (!plan->connected && plan->found < plan->count) {
        struct socket *s = socket_test(L, SELF)->socket;
        if (s == NULL) {
            break; /* it was closed: send_all tells the script */
        }
        lua_settop(L, PLAN);
        if (lua_rawgeti(L, LIST, plan->found + 1) != LUA_TTABLE) {
            return luaL_error(L, "bad argument #1 to 'sendmany' (entry %I: table expected)",
                              plan->found + 1);
        }
        enum found found = find_address(L, s, plan);
        if (found == NAME) {
            task_prepare(L, "sendmany");
            struct lookup *lookup = lookup_start(lua_tostring(L, -1), s->family, SOCK_DGRAM);
            return lookup_wait(L, lookup, timeout_due(socket_timeout(s), clock_now()), looked_up);
        }
        int failure = found == NOWHERE ? 3 : accept_address(L, plan);
        if (failure) {
            return failure;
        }
    }
    lua_settop(L, PLAN);
    return send_all(L);
}

/* sendmany({{datagram, host, port}, ...}) -> number sent | nil, message, number sent
 * On a connected socket an entry may be the datagram alone; an address in it is ignored. */
int datagram_send_many(lua_State *L) {
    struct socket *s = socket_check(L, ANY_DGRAM, "any");
    luaL_checktype(L, LIST, LUA_TTABLE);
    lua_settop(L, LIST);
    size_t count = lua_rawlen(L, LIST);
    bool connected =
        s != NULL && CLASS(s->class) & (CLASS(UDP_CONNECTED) | CLASS(UNIX_DGRAM_CONNECTED));
    size_t addresses = connected ? 0 : count;
    struct plan *plan = lua_newuserdatauv(L, sizeof(*plan) + addresses * sizeof(plan->to[0]), 1);
    *plan = (struct plan){.count = (lua_Integer)count, .connected = connected};
    for (size_t i = 1; i <= count; i++) {
        size_t size;
        push_data(L, (lua_Integer)i, &size);
        lua_pop(L, 1);
    }
    return look_up(L, plan);
}
