/* SPDX-License-Identifier: MIT
 *
 * LuaSocket's functions for names: getaddrinfo, toip, tohostname, getnameinfo, gethostname. Each but the
 * last starts a lookup, suspends its task until that has ended, and gives its result to a `finisher`.
 * getnameinfo makes two lookups in a row: of the addresses of its name, and of the name of the first.
 */
#include <lauxlib.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/state.h"
#include "base/world.h"
#include "net/address.h"
#include "net/methods.h"
#include "net/resolve.h"
#include "net/result.h"
#include "task/task.h"
#include "task/usage.h"

static void push_host(lua_State *L, const struct addrinfo *info) {
    struct address a = {.length = info->ai_addrlen};
    memcpy(&a.storage, info->ai_addr, info->ai_addrlen);
    lua_pop(L, address_push_host_port(L, &a) - 1);
}

static void push_family_entry(lua_State *L, const struct addrinfo *info) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, address_family_name(info->ai_family));
    lua_setfield(L, -2, "family");
    push_host(L, info);
    lua_setfield(L, -2, "addr");
}

static int push_addrinfo(lua_State *L, struct lookup *lookup) {
    lua_newtable(L);
    lua_Integer i = 1;
    for (struct addrinfo *info = lookup->result; info != NULL; info = info->ai_next) {
        push_family_entry(L, info);
        lua_rawseti(L, -2, i++);
    }
    return 1;
}

/* The "resolved" table of toip and tohostname: {name=, alias={}, ip={...}}. */
static void push_resolved(lua_State *L, const char *name, const struct addrinfo *info) {
    lua_newtable(L);
    lua_pushstring(L, name);
    lua_setfield(L, -2, "name");
    lua_newtable(L);
    lua_setfield(L, -2, "alias");
    lua_newtable(L);
    for (lua_Integer i = 1; info != NULL; info = info->ai_next, i++) {
        push_host(L, info);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "ip");
}

/* The name and the list of addresses of a host, from a lookup of either direction. */
static void describe_host(struct lookup *lookup, const char **name, struct addrinfo *info) {
    if (lookup->reverse) {
        *name = lookup->host;
        *info = (struct addrinfo){.ai_addr = (struct sockaddr *)&lookup->address,
                                  .ai_addrlen = sizeof(lookup->address)};
    } else {
        *info = *lookup->result;
        *name = info->ai_canonname ? info->ai_canonname : lookup->host;
    }
}

static int push_toip(lua_State *L, struct lookup *lookup) {
    const char *name;
    struct addrinfo info;
    describe_host(lookup, &name, &info);
    push_host(L, &info);
    push_resolved(L, name, &info);
    return 2;
}

static int push_tohostname(lua_State *L, struct lookup *lookup) {
    const char *name;
    struct addrinfo info;
    describe_host(lookup, &name, &info);
    lua_pushstring(L, name);
    push_resolved(L, name, &info);
    return 2;
}

static int push_nameinfo(lua_State *L, struct lookup *lookup) {
    lua_createtable(L, 1, 0);
    if (!lua_isnoneornil(L, 1)) {
        lua_pushstring(L, lookup->host);
        lua_rawseti(L, -2, 1);
    }
    if (lua_isnil(L, 2)) {
        return 1;
    }
    lua_pushstring(L, lookup->service);
    return 2;
}

/* Pushes the results of a lookup that has succeeded. While it is under way, the stack of the call holds
 * two arguments and the finisher. */
typedef int (*finisher)(lua_State *L, struct lookup *lookup);

static int wait_for(lua_State *L, struct lookup *lookup, finisher finish);

/* An address whose name cannot be found: its text takes the place of the name, so that toip succeeds. */
static void name_by_number(struct lookup *lookup) {
    const struct sockaddr *address = (const struct sockaddr *)&lookup->address;
    lookup->err = getnameinfo(address, sizeof(lookup->address), lookup->host, sizeof(lookup->host),
                              NULL, 0, NI_NUMERICHOST);
}

static int finished(lua_State *L, int status, lua_KContext ctx) {
    struct lookup *lookup = (struct lookup *)ctx;
    (void)status;
    if (lookup_resumed(lookup) != WAKE_READY) {
        return task_raise(L);
    }
    finisher finish = (finisher)(uintptr_t)lua_touserdata(L, 3);
    if (lookup->err == 0 && finish == push_nameinfo && !lookup->reverse) {
        struct lookup *reverse = lookup_start_reverse(lookup->result->ai_addr, 0, !lua_isnil(L, 2));
        lookup_free(lookup);
        return wait_for(L, reverse, finish);
    }
    if (lookup->err != 0 && finish == push_toip && lookup->reverse) {
        name_by_number(lookup);
    }
    int n = lookup->err ? result_error(L, result_lookup_message(lookup->err)) : finish(L, lookup);
    lookup_free(lookup);
    return n;
}

static int wait_for(lua_State *L, struct lookup *lookup, finisher finish) {
    lua_settop(L, 2);
    lua_pushlightuserdata(L, (void *)(uintptr_t)finish);
    return lookup_wait(L, lookup, NEVER, finished);
}

/* getaddrinfo(host) -> {{family=, addr=}, ...} | nil, message */
static int dns_getaddrinfo(lua_State *L) {
    const char *host;
    usage_check_dot(L, "string");
    int bad = address_check_text(L, 1, "host", &host);
    bad = bad ? bad : address_check_host(L, host);
    if (bad) {
        return bad;
    }
    task_prepare(L, "getaddrinfo");
    return wait_for(L, lookup_start(host, AF_UNSPEC, SOCK_STREAM), push_addrinfo);
}

int dns_by_system(lua_State *L) {
    const char *host = luaL_checkstring(L, 1);
    struct address a;
    task_prepare(L, "getaddrinfo");
    if (address_parse(host, 0, AF_UNSPEC, &a)) {
        const struct sockaddr *address = (const struct sockaddr *)&a.storage;
        return wait_for(L, lookup_reverse_by_driver(address, NI_NAMEREQD), push_tohostname);
    }
    return wait_for(L, lookup_start_by_driver(host), push_addrinfo);
}

/* Looks up the name of an address, or the IPv4 addresses of a name, as LuaSocket does. */
static int look_up_host(lua_State *L, const char *what, int flags, finisher finish) {
    const char *host;
    usage_check_dot(L, "string");
    int bad = address_check_text(L, 1, "host", &host);
    struct address a;
    if (bad) {
        return bad;
    }
    task_prepare(L, what);
    if (address_parse(host, 0, AF_UNSPEC, &a)) {
        const struct sockaddr *address = (const struct sockaddr *)&a.storage;
        return wait_for(L, lookup_start_reverse(address, flags, false), finish);
    }
    bad = address_check_host(L, host);
    return bad ? bad : wait_for(L, lookup_start_canonical(host), finish);
}

/* toip(host) -> address, resolved | nil, message */
static int dns_toip(lua_State *L) {
    return look_up_host(L, "toip", 0, push_toip);
}

/* tohostname(host) -> name, resolved | nil, message */
static int dns_tohostname(lua_State *L) {
    return look_up_host(L, "tohostname", NI_NAMEREQD, push_tohostname);
}

/* getnameinfo(host, service) -> {name}, service | nil, message; either may be nil */
static int dns_getnameinfo(lua_State *L) {
    const char *host = NULL, *service = NULL;
    usage_check_dot(L, "string");
    int bad = lua_isnoneornil(L, 1) ? 0 : address_check_text(L, 1, "host", &host);
    bad = bad || host == NULL ? bad : address_check_host(L, host);
    bad = bad || lua_isnoneornil(L, 2) ? bad : address_check_text(L, 2, "service", &service);
    if (bad) {
        return bad;
    }
    if (host == NULL && service == NULL) {
        return luaL_error(L, "host and serv cannot be both nil");
    }
    task_prepare(L, "getnameinfo");
    return wait_for(L, lookup_start_service(host ? host : "", service ? service : ""),
                    push_nameinfo);
}

static int dns_gethostname(lua_State *L) {
    char name[257] = "";
    if (rt.world != NULL) {
        lua_pushstring(L, rt.world->hostname());
        return 1;
    }
    if (gethostname(name, sizeof(name) - 1) < 0) {
        return result_error(L, "gethostname failed");
    }
    lua_pushstring(L, name);
    return 1;
}

int dns_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"getaddrinfo", dns_getaddrinfo}, {"toip", dns_toip},
        {"tohostname", dns_tohostname},   {"getnameinfo", dns_getnameinfo},
        {"gethostname", dns_gethostname}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
