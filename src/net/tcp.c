/* SPDX-License-Identifier: MIT
 *
 * TCP's own methods: create, bind, connect, and the names of both ends (which UDP shares). Listening is
 * in server.c, connecting in connect.c, bytes in receive.c and send.c.
 *
 * As in LuaSocket, tcp() has no descriptor until bind or connect knows the address family.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/address.h"
#include "net/connect.h"
#include "net/methods.h"
#include "net/options.h"
#include "net/resolve.h"
#include "net/result.h"
#include "net/socket.h"

/* ---- create ---- */

static int create(lua_State *L, int family) {
    struct socket *s = socket_new(L, TCP_MASTER, family);
    if (family == AF_UNSPEC) {
        return 1;
    }
    int err = socket_create_descriptor(s, family);
    return err < 0 ? result_fail(L, err) : 1;
}

int tcp_create(lua_State *L) {
    return create(L, AF_UNSPEC);
}

int tcp_create4(lua_State *L) {
    return create(L, AF_INET);
}

int tcp_create6(lua_State *L) {
    return create(L, AF_INET6);
}

/* copy(fd) -> a client on a copy of a descriptor that foreign code owns: the runtime waits on the
 * copy, which stays open when the foreign code closes its own. */
int tcp_copy(lua_State *L) {
    int fd = (int)luaL_checkinteger(L, 1);
    struct socket *s = socket_new(L, TCP_CLIENT, AF_UNSPEC);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        return result_fail(L, errno);
    }
    socket_adopt(s, copy);
    s->out.wrote = s->out.lingers = true; /* perhaps by the foreign code */
    return 1;
}

/* ---- bind ---- */

static int bind_to(struct socket *s, const struct address *a) {
    int err = socket_create_descriptor(s, a->storage.ss_family);
    if (err < 0) {
        return err;
    }
    err = s->watch.driver->bind(s->watch.fd, (const struct sockaddr *)&a->storage, a->length);
    s->bound = err == 0;
    return err;
}

static int bind_looked_up(lua_State *L, int status, lua_KContext ctx) {
    struct lookup *lookup = (struct lookup *)ctx;
    (void)status;
    if (lookup_resumed(lookup) != WAKE_READY) {
        return task_raise(L);
    }
    struct socket_box *box = socket_test(L, 1);
    int err = lookup->err ? 0 : -EADDRNOTAVAIL;
    const char *why = lookup->err ? result_lookup_message(lookup->err) : NULL;
    for (struct addrinfo *i = lookup->result; i != NULL && err < 0 && box->socket; i = i->ai_next) {
        struct address a = {.length = i->ai_addrlen};
        memcpy(&a.storage, i->ai_addr, i->ai_addrlen);
        address_set_port(&a, (int)lua_tointeger(L, 3));
        err = bind_to(box->socket, &a);
    }
    lookup_free(lookup);
    if (box->socket == NULL) {
        return result_error(L, "closed");
    }
    return why ? result_error(L, why) : result_ok(L, err < 0 ? err : 1);
}

/* bind(host, port) -> 1 | nil, message, for TCP and UDP; "*" is every address. */
int inet_bind(lua_State *L, struct socket *s) {
    const char *host;
    int port = 0;
    int bad = address_check_text(L, 2, "host", &host);
    struct address a;
    bad = bad ? bad : address_check_port(L, 3, &port);
    if (bad) {
        return bad;
    }
    if (s == NULL) {
        return result_error(L, "closed");
    }
    if (strcmp(host, "*") == 0) {
        address_wildcard(s->family == AF_INET6 ? AF_INET6 : AF_INET, port, &a);
    } else if (!address_parse(host, port, s->family, &a)) {
        bad = address_check_host(L, host);
        if (bad) {
            return bad;
        }
        lua_settop(L, 2);
        lua_pushinteger(L, port);
        task_prepare(L, "bind");
        return lookup_wait(L, lookup_start(host, s->family, socket_type(s)), NEVER, bind_looked_up);
    }
    int err = bind_to(s, &a);
    return result_ok(L, err < 0 ? err : 1);
}

/* bind(host, port) -> 1 | nil, message */
static int method_bind(lua_State *L) {
    return inet_bind(L, socket_check(L, CLASS(TCP_MASTER), "master"));
}

/* connect(host, port) -> 1 | nil, message; the object becomes a client even if it fails */
static int method_connect(lua_State *L) {
    struct socket *s = socket_check(L, ANY_TCP, "any");
    const char *host;
    int port = 0;
    int bad = address_check_text(L, 2, "host", &host);
    bad = bad ? bad : address_check_port(L, 3, &port);
    if (bad) {
        return bad;
    }
    return s ? connect_to_host(L, s, host, port) : result_error(L, "closed");
}

/* ---- the names of both ends: shared with UDP ---- */

typedef int (*name_of)(int fd, struct sockaddr_storage *address, socklen_t *length);

static int push_name(lua_State *L, struct socket *s, name_of get) {
    struct address a = {.length = sizeof(a.storage)};
    outputs_flush(); /* the first datagram binds */
    int err = s == NULL ? -EBADF : get(s->watch.fd, &a.storage, &a.length);
    return err < 0 ? result_fail(L, err) : address_push(L, &a);
}

/* getpeername() -> host, port, family | nil, message */
int inet_getpeername(lua_State *L) {
    return push_name(L, socket_check(L, ANY_SOCKET, "any"), rt.driver->getpeername);
}

/* getsockname() -> host, port, family | nil, message */
int inet_getsockname(lua_State *L) {
    return push_name(L, socket_check(L, ANY_SOCKET, "any"), rt.driver->getsockname);
}

/* getfamily() -> "inet4" or "inet6", in LuaSocket's spelling */
int inet_getfamily(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_pushstring(L, s != NULL && s->family == AF_INET6 ? "inet6" : "inet4");
    return 1;
}

const luaL_Reg tcp_methods[] = {
    {"bind", method_bind},
    {"setsockname", method_bind},
    {"connect", method_connect},
    {"setpeername", method_connect},
    {"getpeername", inet_getpeername},
    {"getsockname", inet_getsockname},
    {"getfamily", inet_getfamily},
    {NULL, NULL},
};
