/* SPDX-License-Identifier: MIT
 *
 * setoption and getoption: a row for each option, with LuaSocket 3.1's names, values and messages. An
 * option set on a TCP socket that is not connected yet is kept, and set again on each descriptor that
 * connecting tries (initial_options.c).
 */
#include "net/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/result.h"
#include "task/usage.h"

enum kind {
    BOOLEAN,
    INTEGER,
    LINGER,
    TIMEOUT,     /* seconds, as struct timeval */
    ADDRESS4,    /* an interface by its IPv4 address */
    MEMBERSHIP4, /* {multiaddr=, interface=} */
    MEMBERSHIP6,
    DEVICE,      /* an interface by its name */
    ERROR,       /* pending error as a message, or nil */
    CORK,        /* ours: collect output until the end of the tick */
    MAX_RECEIVE, /* ours: the longest line, delimited unit or "*a" */
};

enum access { SET = 1, GET = 2, BOTH = 3 };

struct option {
    const char *name;
    unsigned classes;
    int level, number;
    enum kind kind;
    enum access access;
};

#define STREAMS (ANY_TCP | ANY_UNIX)
#define ANY_INET (ANY_TCP | ANY_UDP)

static const struct option options[] = {
    {"keepalive", STREAMS, SOL_SOCKET, SO_KEEPALIVE, BOOLEAN, BOTH},
    {"reuseaddr", STREAMS | ANY_DGRAM, SOL_SOCKET, SO_REUSEADDR, BOOLEAN, BOTH},
    {"reuseport", ANY_INET | ANY_UNIX_DGRAM, SOL_SOCKET, SO_REUSEPORT, BOOLEAN, BOTH},
    {"linger", STREAMS, SOL_SOCKET, SO_LINGER, LINGER, BOTH},
    {"error", STREAMS | ANY_DGRAM, SOL_SOCKET, SO_ERROR, ERROR, GET},
    {"bindtodevice", ANY_INET, SOL_SOCKET, SO_BINDTODEVICE, DEVICE, BOTH},
    {"recv-timeout", ANY_TCP, SOL_SOCKET, SO_RCVTIMEO, TIMEOUT, BOTH},
    {"send-timeout", ANY_TCP, SOL_SOCKET, SO_SNDTIMEO, TIMEOUT, BOTH},
    {"recv-buffer-size", STREAMS | ANY_DGRAM, SOL_SOCKET, SO_RCVBUF, INTEGER, BOTH},
    {"send-buffer-size", STREAMS | ANY_DGRAM, SOL_SOCKET, SO_SNDBUF, INTEGER, BOTH},
    {"tcp-nodelay", ANY_TCP, IPPROTO_TCP, TCP_NODELAY, BOOLEAN, BOTH},
    {"tcp-keepidle", ANY_TCP, IPPROTO_TCP, TCP_KEEPIDLE, INTEGER, BOTH},
    {"tcp-keepcnt", ANY_TCP, IPPROTO_TCP, TCP_KEEPCNT, INTEGER, BOTH},
    {"tcp-keepintvl", ANY_TCP, IPPROTO_TCP, TCP_KEEPINTVL, INTEGER, BOTH},
    {"tcp-defer-accept", ANY_TCP, IPPROTO_TCP, TCP_DEFER_ACCEPT, INTEGER, BOTH},
    {"tcp-fastopen", ANY_TCP, IPPROTO_TCP, TCP_FASTOPEN, INTEGER, BOTH},
    {"tcp-fastopen-connect", ANY_TCP, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, BOOLEAN, BOTH},
    {"ipv6-v6only", ANY_INET, IPPROTO_IPV6, IPV6_V6ONLY, BOOLEAN, BOTH},
    {"dontroute", ANY_UDP, SOL_SOCKET, SO_DONTROUTE, BOOLEAN, BOTH},
    {"broadcast", ANY_UDP, SOL_SOCKET, SO_BROADCAST, BOOLEAN, BOTH},
    {"ip-multicast-if", ANY_UDP, IPPROTO_IP, IP_MULTICAST_IF, ADDRESS4, BOTH},
    {"ip-multicast-ttl", ANY_UDP, IPPROTO_IP, IP_MULTICAST_TTL, INTEGER, BOTH},
    {"ip-multicast-loop", ANY_UDP, IPPROTO_IP, IP_MULTICAST_LOOP, BOOLEAN, BOTH},
    {"ip-add-membership", ANY_UDP, IPPROTO_IP, IP_ADD_MEMBERSHIP, MEMBERSHIP4, SET},
    {"ip-drop-membership", ANY_UDP, IPPROTO_IP, IP_DROP_MEMBERSHIP, MEMBERSHIP4, SET},
    {"ipv6-unicast-hops", ANY_UDP, IPPROTO_IPV6, IPV6_UNICAST_HOPS, INTEGER, BOTH},
    {"ipv6-multicast-hops", ANY_UDP, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, INTEGER, BOTH},
    {"ipv6-multicast-if", ANY_UDP, IPPROTO_IPV6, IPV6_MULTICAST_IF, INTEGER, BOTH},
    {"ipv6-multicast-loop", ANY_UDP, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, BOOLEAN, BOTH},
    {"ipv6-add-membership", ANY_UDP, IPPROTO_IPV6, IPV6_JOIN_GROUP, MEMBERSHIP6, SET},
    {"ipv6-drop-membership", ANY_UDP, IPPROTO_IPV6, IPV6_LEAVE_GROUP, MEMBERSHIP6, SET},
    {"cork", ANY_TCP | ANY_UNIX | ANY_UDP | CLASS(FILE_STREAM), 0, 0, CORK, BOTH},
    {"maxreceive", ANY_TCP | ANY_UNIX | CLASS(FILE_STREAM), 0, 0, MAX_RECEIVE, BOTH},
};

static const struct option *find(lua_State *L, enum socket_class class, enum access access) {
    const char *name = luaL_checkstring(L, 2);
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        const struct option *o = &options[i];
        if ((o->classes & CLASS(class)) && (o->access & access) && strcmp(o->name, name) == 0) {
            return o;
        }
    }
    lua_newtable(L); /* of the names there are, for the hint */
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if ((options[i].classes & CLASS(class)) && (options[i].access & access)) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, options[i].name);
        }
    }
    const char *hint = usage_push_hint(L, name);
    luaL_argerror(L, 2, lua_pushfstring(L, "unsupported option `%s'%s", name, hint));
    return NULL;
}

/* ---- set ---- */

static int apply(lua_State *L, struct socket *s, const struct option *o, const void *value,
                 size_t size) {
    if (s->class == TCP_MASTER && size <= SAVED_VALUE_SIZE) {
        options_save(L, s, o->level, o->number, value, (socklen_t)size);
        if (s->watch.fd < 0) {
            return result_ok(L, 1);
        }
    }
    datagrams_flush(); /* what was sent before must leave with the option as it was */
    int err = s->watch.driver->setsockopt(s->watch.fd, o->level, o->number, value, (socklen_t)size);
    return err < 0 ? result_error(L, "setsockopt failed") : result_ok(L, 1);
}

static bool check_boolean(lua_State *L, int index) {
    luaL_checktype(L, index, LUA_TBOOLEAN);
    return lua_toboolean(L, index);
}

/* Any number in the range of an int, with its fraction cut off as LuaSocket does. */
static int check_int(lua_State *L, int index) {
    lua_Number n = luaL_checknumber(L, index);
    luaL_argcheck(L, n >= INT_MIN && n <= INT_MAX, 3, "number out of range");
    return (int)n;
}

static int set_linger(lua_State *L, struct socket *s, const struct option *o) {
    struct linger linger;
    luaL_checktype(L, 3, LUA_TTABLE);
    if (lua_getfield(L, 3, "on") != LUA_TBOOLEAN) {
        luaL_argerror(L, 3, "boolean 'on' field expected");
    }
    linger.l_onoff = lua_toboolean(L, -1);
    lua_getfield(L, 3, "timeout");
    if (!lua_isnumber(L, -1)) {
        luaL_argerror(L, 3, "number 'timeout' field expected");
    }
    linger.l_linger = check_int(L, -1);
    s->out.lingers = true;
    return apply(L, s, o, &linger, sizeof(linger));
}

static const char *group_field(lua_State *L) {
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_getfield(L, 3, "multiaddr");
    if (!lua_isstring(L, -1)) {
        luaL_argerror(L, 3, "string 'multiaddr' field expected");
    }
    return lua_tostring(L, -1);
}

static int set_membership4(lua_State *L, struct socket *s, const struct option *o) {
    struct ip_mreq request;
    if (!inet_aton(group_field(L), &request.imr_multiaddr)) {
        luaL_argerror(L, 3, "invalid 'multiaddr' ip address");
    }
    lua_getfield(L, 3, "interface");
    if (!lua_isstring(L, -1)) {
        luaL_argerror(L, 3, "string 'interface' field expected");
    }
    request.imr_interface.s_addr = htonl(INADDR_ANY);
    if (strcmp(lua_tostring(L, -1), "*") != 0 &&
        !inet_aton(lua_tostring(L, -1), &request.imr_interface)) {
        luaL_argerror(L, 3, "invalid 'interface' ip address");
    }
    return apply(L, s, o, &request, sizeof(request));
}

static int set_membership6(lua_State *L, struct socket *s, const struct option *o) {
    struct ipv6_mreq request = {0};
    if (inet_pton(AF_INET6, group_field(L), &request.ipv6mr_multiaddr) != 1) {
        luaL_argerror(L, 3, "invalid 'multiaddr' ip address");
    }
    if (lua_getfield(L, 3, "interface") != LUA_TNIL) {
        if (!lua_isnumber(L, -1)) {
            luaL_argerror(L, 3, "number 'interface' field expected");
        }
        request.ipv6mr_interface = (unsigned)check_int(L, -1);
    }
    return apply(L, s, o, &request, sizeof(request));
}

static int set_address4(lua_State *L, struct socket *s, const struct option *o) {
    const char *text = luaL_checkstring(L, 3);
    struct in_addr address = {.s_addr = htonl(INADDR_ANY)};
    if (strcmp(text, "*") != 0 && !inet_aton(text, &address)) {
        luaL_argerror(L, 3, "ip expected");
    }
    return apply(L, s, o, &address, sizeof(address));
}

static int set_timeout(lua_State *L, struct socket *s, const struct option *o) {
    double seconds = luaL_checknumber(L, 3);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 3, "seconds expected, from 0 to 1e9");
    struct timeval value = {.tv_sec = (time_t)seconds};
    value.tv_usec = (suseconds_t)((seconds - (double)value.tv_sec) * 1e6);
    return apply(L, s, o, &value, sizeof(value));
}

static int set_max_receive(lua_State *L, struct socket *s) {
    lua_Integer max = luaL_optinteger(L, 3, 0);
    luaL_argcheck(L, max >= 0, 3, "bytes must not be negative");
    s->max_receive = (size_t)max;
    return result_ok(L, 1);
}

static int set(lua_State *L, struct socket *s, const struct option *o) {
    int number;
    size_t size;
    const char *text;
    switch (o->kind) {
    case BOOLEAN: number = check_boolean(L, 3); return apply(L, s, o, &number, sizeof(number));
    case INTEGER: number = check_int(L, 3); return apply(L, s, o, &number, sizeof(number));
    case LINGER: return set_linger(L, s, o);
    case TIMEOUT: return set_timeout(L, s, o);
    case ADDRESS4: return set_address4(L, s, o);
    case MEMBERSHIP4: return set_membership4(L, s, o);
    case MEMBERSHIP6: return set_membership6(L, s, o);
    case DEVICE:
        text = luaL_checklstring(L, 3, &size);
        luaL_argcheck(L, strlen(text) == size, 3, "name contains a zero byte");
        return apply(L, s, o, text, size + 1);
    case CORK:
        s->out.immediate = !check_boolean(L, 3);
        outputs_flush();
        return result_ok(L, 1);
    case MAX_RECEIVE: return set_max_receive(L, s);
    case ERROR: break;
    }
    return luaL_error(L, "option cannot be set");
}

/* setoption(name [, value]) -> 1 | nil, message */
int socket_setoption(lua_State *L) {
    struct socket_box *box = socket_check_any(L);
    const struct option *o = find(L, socket_class(box), SET);
    return box->socket ? set(L, box->socket, o) : result_error(L, "setsockopt failed");
}

/* ---- get ---- */

static int push_value(lua_State *L, const struct option *o, const char *value) {
    int number;
    struct timeval time;
    struct linger linger;
    struct in_addr address;
    memcpy(&number, value, sizeof(number));
    memcpy(&time, value, sizeof(time));
    memcpy(&linger, value, sizeof(linger));
    memcpy(&address, value, sizeof(address));
    switch (o->kind) {
    case BOOLEAN: lua_pushboolean(L, number); break;
    case INTEGER: lua_pushinteger(L, number); break;
    case TIMEOUT: lua_pushnumber(L, (double)time.tv_sec + (double)time.tv_usec * 1e-6); break;
    case LINGER:
        lua_createtable(L, 0, 2);
        lua_pushboolean(L, linger.l_onoff);
        lua_setfield(L, -2, "on");
        lua_pushinteger(L, linger.l_linger);
        lua_setfield(L, -2, "timeout");
        break;
    case ADDRESS4: {
        char text[INET_ADDRSTRLEN];
        lua_pushstring(L, inet_ntop(AF_INET, &address, text, sizeof(text)));
        break;
    }
    case ERROR: lua_pushstring(L, number ? result_message(number) : NULL); break;
    default: lua_pushstring(L, value); break;
    }
    return 1;
}

static int get(lua_State *L, struct socket *s, const struct option *o) {
    char value[64] = "";
    socklen_t size = o->kind == BOOLEAN || o->kind == INTEGER || o->kind == ERROR
                         ? sizeof(int)
                         : sizeof(value) - 1;
    if (o->kind == CORK) {
        lua_pushboolean(L, !s->out.immediate);
        return 1;
    }
    if (o->kind == MAX_RECEIVE) {
        lua_pushinteger(L, (lua_Integer)s->max_receive);
        return 1;
    }
    int err = s->watch.driver->getsockopt(s->watch.fd, o->level, o->number, value, &size);
    return err < 0 ? result_error(L, "getsockopt failed") : push_value(L, o, value);
}

/* getoption(name) -> value | nil, message */
int socket_getoption(lua_State *L) {
    struct socket_box *box = socket_check_any(L);
    const struct option *o = find(L, socket_class(box), GET);
    return box->socket ? get(L, box->socket, o) : result_error(L, "getsockopt failed");
}
