/* SPDX-License-Identifier: MIT
 *
 * Datagram sockets: UDP's methods, and those it shares with unix datagrams. Results follow
 * LuaSocket 3.1's udp.c; a receive buffer holds the largest datagram, so nothing is cut unless the
 * script asks for fewer bytes. datagram.c batches.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/address.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/resolve.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

#define LARGEST_DATAGRAM 65535
#define UNCONNECTED (CLASS(UDP_UNCONNECTED) | CLASS(UNIX_DGRAM_UNCONNECTED))
#define CONNECTED (CLASS(UDP_CONNECTED) | CLASS(UNIX_DGRAM_CONNECTED))
#define MOST_AT_ONCE 1024

/* ---- create ---- */

static int create(lua_State *L, int family) {
    struct socket *s = socket_new(L, UDP_UNCONNECTED, family);
    if (family == AF_UNSPEC) {
        return 1;
    }
    int err = socket_create_descriptor(s, family);
    return err < 0 ? result_fail(L, err) : 1;
}

int udp_create(lua_State *L) {
    return create(L, AF_UNSPEC);
}

int udp_create4(lua_State *L) {
    return create(L, AF_INET);
}

int udp_create6(lua_State *L) {
    return create(L, AF_INET6);
}

/* ---- receive ---- */

static int datagram_failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

static int iteration_failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return strcmp(why, "closed") == 0 ? result_error(L, why) : luaL_error(L, "%s", why);
}

static void push_datagram(lua_State *L, const struct op *op, const struct datagram *d) {
    size_t size = d->size < op->as.datagram.size ? d->size : op->as.datagram.size;
    lua_pushlstring(L, d->data, size);
}

static int attempt_receive(lua_State *L, struct op *op) {
    struct datagram d;
    if (op->socket->watch.fd < 0) {
        return result_error(L, "closed");
    }
    if (!op->queued && waitq_has_exclusive(&op->socket->watch.readers)) {
        return WANT_READ; /* others have waited for longer */
    }
    if (scheduler.budget <= 0 && !datagrams_waiting(op->socket)) {
        return WANT_TURN;
    }
    int err = datagrams_take(op->socket, &d);
    if (err == -EAGAIN) {
        return WANT_READ;
    }
    if (err == NO_MEMORY) {
        return memory_no_memory(L);
    }
    if (err < 0) {
        return op->as.datagram.iterate ? luaL_error(L, "%s", result_message(err))
                                       : result_fail(L, err);
    }
    if (datagrams_waiting(op->socket)) {
        waitq_wake_first(&op->socket->watch.readers, WAKE_READY); /* these raise no event */
    }
    push_datagram(L, op, &d);
    return op->as.datagram.from ? 1 + address_push_host_port(L, &d.from) : 1;
}

static const struct op_type receive_op = {"receive", attempt_receive, datagram_failed, NULL};
static const struct op_type receivefrom_op = {"receivefrom", attempt_receive, datagram_failed,
                                              NULL};
static const struct op_type datagrams_op = {"datagrams", attempt_receive, iteration_failed, NULL};

static int receive(lua_State *L, bool from) {
    struct op op;
    op_init(&op, from ? &receivefrom_op : &receive_op,
            socket_check(L, from ? UNCONNECTED : ANY_DGRAM, from ? "unconnected" : "any"));
    lua_Number size = luaL_optnumber(L, 2, LARGEST_DATAGRAM);
    luaL_argcheck(L, size == size, 2, "number of bytes expected, got nan");
    luaL_argcheck(L, size >= 0, 2, "number of bytes must not be negative");
    op.as.datagram.size = size < LARGEST_DATAGRAM ? (size_t)size : LARGEST_DATAGRAM;
    op.as.datagram.from = from;
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

/* receive([size]) -> datagram | nil, message */
static int method_receive(lua_State *L) {
    return receive(L, false);
}

/* receivefrom([size]) -> datagram, host, port | nil, message */
static int method_receivefrom(lua_State *L) {
    return receive(L, true);
}

/* Pushes {datagram, host, port}. The bytes are copied by the first push, since a finalizer that runs in a
 * later one may receive, which invalidates d->data. */
static void push_entry(lua_State *L, const struct op *op, const struct datagram *d) {
    push_datagram(L, op, d);
    lua_createtable(L, 3, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
    int n = address_push_host_port(L, &d->from);
    for (int i = n; i > 0; i--) {
        lua_rawseti(L, -(i + 1), 1 + i);
    }
}

static int attempt_many(lua_State *L, struct op *op) {
    struct datagram d;
    if (op->socket->watch.fd < 0) {
        return result_error(L, "closed");
    }
    int err = datagrams_take(op->socket, &d);
    if (err == -EAGAIN) {
        return WANT_READ;
    }
    if (err == NO_MEMORY) {
        return memory_no_memory(L);
    }
    if (err < 0) {
        return result_fail(L, err);
    }
    for (long i = 1; err == 0; i++) {
        push_entry(L, op, &d);
        if (i == 1) {
            lua_newtable(L);
            lua_insert(L, -2);
        }
        lua_rawseti(L, -2, i);
        bool more = i < op->as.datagram.done && op->socket->watch.fd >= 0;
        err = more ? datagrams_take(op->socket, &d) : -EAGAIN;
    }
    if (err != -EAGAIN && err != NO_MEMORY) {
        op->socket->out.error = (short)-err; /* the next call tells it */
    }
    if (datagrams_waiting(op->socket)) {
        waitq_wake_first(&op->socket->watch.readers, WAKE_READY);
    }
    return 1;
}

static const struct op_type receivemany_op = {"receivemany", attempt_many, datagram_failed, NULL};

/* receivemany([max]) -> {{datagram, host, port}, ...}, at least one | nil, message */
static int method_receivemany(lua_State *L) {
    struct op op;
    op_init(&op, &receivemany_op, socket_check(L, ANY_DGRAM, "any"));
    lua_Integer max = luaL_optinteger(L, 2, 32);
    luaL_argcheck(L, max > 0 && max <= MOST_AT_ONCE, 2, "number between 1 and 1024 expected");
    op.as.datagram.done = (long)max;
    op.as.datagram.size = LARGEST_DATAGRAM;
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

static int next_datagram(lua_State *L) {
    struct op op;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    op_init(&op, &datagrams_op, socket_check(L, ANY_DGRAM, "any"));
    op.as.datagram.size = LARGEST_DATAGRAM;
    op.as.datagram.from = op.as.datagram.iterate = true;
    if (op.socket == NULL) {
        lua_pushnil(L);
        return 1;
    }
    return op_run(L, &op);
}

/* datagrams() -> iterator over datagram, host, port; ends when the socket is closed */
static int method_datagrams(lua_State *L) {
    socket_check(L, ANY_DGRAM, "any");
    lua_settop(L, 1);
    lua_pushcclosure(L, next_datagram, 1);
    return 1;
}

/* ---- send ---- */

/* Pushes the error of this datagram, else that of an earlier one which no call has told yet. */
static __attribute__((noinline)) int not_sent(lua_State *L, struct socket *s, int err) {
    int earlier = datagrams_take_error(s);
    s->out.error = (short)(err < 0 && err != earlier ? -earlier : 0);
    return result_fail(L, err < 0 ? err : earlier);
}

static int sent(lua_State *L, struct socket *s, int err, size_t size) {
    if (err < 0 || s->out.error != 0) {
        return not_sent(L, s, err);
    }
    lua_pushinteger(L, (lua_Integer)size);
    return 1;
}

static int attempt_send(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    if (s->watch.fd < 0) {
        return result_fail(L, -EBADF);
    }
    int err = datagram_send(s, op->as.datagram.data, op->as.datagram.size, op->as.datagram.to);
    if (err == -EAGAIN) {
        return s->family == AF_UNIX ? WANT_PAUSE : WANT_WRITE;
    }
    return sent(L, s, err, op->as.datagram.size);
}

static void keep_address(lua_State *L, struct op *op) {
    op->as.datagram.to = address_keep(L, op->as.datagram.to);
}

static const struct op_type send_op = {"send", attempt_send, datagram_failed, keep_address};
static const struct op_type sendto_op = {"sendto", attempt_send, datagram_failed, keep_address};

/* Sends the datagram at index 2, to a peer or (NULL) to the connected one. It becomes an operation only
 * if it must wait: nearly always it fits into the batch. */
static int send_datagram(lua_State *L, const struct op_type *type, struct socket *s,
                         const struct address *to) {
    struct op op;
    size_t size;
    const char *data = luaL_checklstring(L, 2, &size);
    if (s == NULL) {
        return result_error(L, "closed");
    }
    if (scheduler.budget > 0) {
        int err = datagram_send(s, data, size, to);
        if (err != -EAGAIN) {
            return sent(L, s, err, size);
        }
    }
    op_init(&op, type, s);
    op.as.datagram.data = data;
    op.as.datagram.size = size;
    op.as.datagram.to = to;
    return op_run(L, &op);
}

/* send(datagram) -> bytes | nil, message */
static int method_send(lua_State *L) {
    return send_datagram(L, &send_op, socket_check(L, CONNECTED, "connected"), NULL);
}

int datagram_send_to(lua_State *L, struct socket *s, const struct address *a) {
    int err = socket_create_descriptor(s, a->storage.ss_family);
    return err < 0 ? result_fail(L, err) : send_datagram(L, &sendto_op, s, a);
}

/* sendto(datagram, host, port) -> bytes | nil, message */
static int method_sendto(lua_State *L) {
    struct socket *s = socket_check(L, CLASS(UDP_UNCONNECTED), "unconnected");
    luaL_checkstring(L, 2);
    const char *host;
    int port = 0;
    int bad = address_check_text(L, 3, "host", &host);
    bad = bad ? bad : address_check_port(L, 4, &port);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    return resolve_then(L, "sendto", s, host, port, datagram_send_to);
}

/* ---- names ---- */

/* setsockname(host, port) -> 1 | nil, message */
static int method_setsockname(lua_State *L) {
    datagrams_flush(); /* the first datagram binds */
    return inet_bind(L, socket_check(L, CLASS(UDP_UNCONNECTED), "unconnected"));
}

static int connect_peer(lua_State *L, struct socket *s, const struct address *a) {
    int err = socket_create_descriptor(s, a->storage.ss_family);
    datagrams_flush();
    if (err == 0) {
        err =
            s->watch.driver->connect(s->watch.fd, (const struct sockaddr *)&a->storage, a->length);
    }
    if (err == 0) {
        socket_become(L, 1, UDP_CONNECTED);
    }
    return result_ok(L, err < 0 ? err : 1);
}

static int disconnect(lua_State *L, struct socket *s) {
    struct address none = {.length = sizeof(struct sockaddr)};
    none.storage.ss_family = AF_UNSPEC;
    datagrams_flush();
    int err =
        s->watch.driver->connect(s->watch.fd, (const struct sockaddr *)&none.storage, none.length);
    if (err == 0) {
        socket_become(L, 1, UDP_UNCONNECTED);
    }
    return result_ok(L, err < 0 ? err : 1);
}

/* setpeername("*") or setpeername(host, port) -> 1 | nil, message */
static int method_setpeername(lua_State *L) {
    struct socket *s = socket_check(L, ANY_UDP, "any");
    const char *host;
    int bad = address_check_text(L, 2, "host", &host);
    bool connected = s != NULL && s->class == UDP_CONNECTED;
    bool reset = strcmp(host, "*") == 0;
    int port = 0;
    bad = bad || reset ? bad : address_check_port(L, 3, &port);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    if (reset) {
        return connected ? disconnect(L, s) : result_ok(L, 1);
    }
    return resolve_then(L, "setpeername", s, host, port, connect_peer);
}

/* getpeername() -> host, port, family | nil, message */
static int method_getpeername(lua_State *L) {
    socket_check(L, CONNECTED, "connected");
    return inet_getpeername(L);
}

const luaL_Reg datagram_methods[] = {
    {"receive", method_receive},
    {"receivefrom", method_receivefrom},
    {"receivemany", method_receivemany},
    {"datagrams", method_datagrams},
    {"send", method_send},
    {"sendmany", datagram_send_many},
    {"getpeername", method_getpeername},
    {"getsockname", inet_getsockname},
    {NULL, NULL},
};

const luaL_Reg udp_methods[] = {
    {"sendto", method_sendto},
    {"setsockname", method_setsockname},
    {"setpeername", method_setpeername},
    {"getfamily", inet_getfamily},
    {NULL, NULL},
};
