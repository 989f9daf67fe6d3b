/* SPDX-License-Identifier: MIT
 *
 * Unix sockets: the methods that take a path where those of TCP and UDP take host and port. They follow LuaSocket 3.1's unixstream.c and unixdgram.c.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "kernel/driver.h"
#include "net/address.h"
#include "net/connect.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"

static int create(lua_State *L, enum socket_class class) {
    struct socket *s = socket_new(L, class, AF_UNIX);
    int err = socket_create_descriptor(s, AF_UNIX);
    return err < 0 ? result_fail(L, err) : 1;
}

int unix_create_stream(lua_State *L) {
    return create(L, UNIX_MASTER);
}

int unix_create_dgram(lua_State *L) {
    return create(L, UNIX_DGRAM_UNCONNECTED);
}

/* The path at `index`: 0, or the pushed results of a bad one. */
static int check_path(lua_State *L, int index, struct address *a) {
    size_t size;
    const char *path = luaL_checklstring(L, index, &size);
    if (size > 0 && path[0] != '\0' && strlen(path) < size) {
        return result_error(L, "path contains a zero byte"); /* the kernel would end it there */
    }
    return address_unix(path, size, a) < 0 ? result_error(L, "path too long") : 0;
}

static int bind_path(lua_State *L, struct socket *s) {
    struct address a;
    int bad = check_path(L, 2, &a);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    int err = s->watch.driver->bind(s->watch.fd, (struct sockaddr *)&a.storage, a.length);
    return result_ok(L, err < 0 ? err : 1);
}

/* bind(path) -> 1 | nil, message */
static int stream_bind(lua_State *L) {
    return bind_path(L, socket_check(L, CLASS(UNIX_MASTER), "master"));
}

/* connect(path) -> 1 | nil, message */
static int stream_connect(lua_State *L) {
    struct socket *s = socket_check(L, CLASS(UNIX_MASTER), "master");
    struct address a;
    int bad = check_path(L, 2, &a);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    return connect_to_address(L, s, &a, 0);
}

/* bind(path) -> 1 | nil, message */
static int dgram_bind(lua_State *L) {
    return bind_path(L, socket_check(L, CLASS(UNIX_DGRAM_UNCONNECTED), "unconnected"));
}

/* connect(path) -> 1 | nil, message */
static int dgram_connect(lua_State *L) {
    struct socket *s = socket_check(L, ANY_UNIX_DGRAM, "any");
    struct address a;
    int bad = check_path(L, 2, &a);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    int err = s->watch.driver->connect(s->watch.fd, (struct sockaddr *)&a.storage, a.length);
    if (err == 0) {
        socket_become(L, 1, UNIX_DGRAM_CONNECTED);
    }
    return result_ok(L, err < 0 ? err : 1);
}

/* sendto(datagram, path) -> 1 | nil, message */
static int dgram_sendto(lua_State *L) {
    struct socket *s = socket_check(L, CLASS(UNIX_DGRAM_UNCONNECTED), "unconnected");
    struct address a;
    luaL_checkstring(L, 2);
    int bad = check_path(L, 3, &a);
    if (bad || s == NULL) {
        return bad ? bad : result_error(L, "closed");
    }
    return datagram_send_to(L, s, &a);
}

const luaL_Reg unix_stream_methods[] = {
    {"bind", stream_bind},
    {"setsockname", stream_bind},
    {"connect", stream_connect},
    {"setpeername", stream_connect},
    {"getpeername", inet_getpeername},
    {"getsockname", inet_getsockname},
    {NULL, NULL},
};

const luaL_Reg unix_dgram_methods[] = {
    {"bind", dgram_bind},           {"setsockname", dgram_bind}, {"connect", dgram_connect},
    {"setpeername", dgram_connect}, {"sendto", dgram_sendto},    {NULL, NULL},
};
