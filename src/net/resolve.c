/* SPDX-License-Identifier: MIT
 *
 * Names: lookups through the driver, and LuaSocket's dns functions on top of them. A lookup that a
 * thread works at cannot be stopped; its waiter can, and leaves it to free itself when it completes.
 * One that waits for a thread is taken back.
 */
#include "net/resolve.h"

#include <lauxlib.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/address.h"
#include "kernel/driver.h"
#include "net/methods.h"
#include "net/resolver.h"
#include "net/result.h"
#include "net/socket.h"
#include "base/world.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "task/task.h"
#include "task/usage.h"

static struct lookup *start_by_driver(struct lookup *lookup) {
    int err = rt.driver->lookup(lookup);
    if (err < 0) {
        lookup->done = true;
        lookup->err = err;
    }
    return lookup;
}

/* Whoever waits for a scripted one starts its task: see lookup_wait. */
static struct lookup *start(struct lookup *lookup) {
    lookup->scripted = resolver_in_use();
    return lookup->scripted ? lookup : start_by_driver(lookup);
}

/* Those of the simulation under way: it drops tasks, which then do not free what they wait for. */
static struct lookup *simulated;

static void join_simulation(struct lookup *lookup) {
    lookup->next = simulated;
    lookup->link = &simulated;
    if (simulated != NULL) {
        simulated->link = &lookup->next;
    }
    simulated = lookup;
}

static void leave_simulation(struct lookup *lookup) {
    *lookup->link = lookup->next;
    if (lookup->next != NULL) {
        lookup->next->link = lookup->link;
    }
}

void lookups_drop(void) {
    while (simulated != NULL) {
        lookup_free(simulated);
    }
}

/* Stands in for one that there is no memory for: it has failed. */
static struct lookup no_memory = {.done = true, .err = UV_EAI_MEMORY};

void lookup_free(struct lookup *lookup) {
    if (lookup == &no_memory) {
        return;
    }
    resolver_forget(lookup);
    if (lookup->link != NULL) {
        leave_simulation(lookup);
    }
    if (lookup->result != NULL) {
        uv_freeaddrinfo(lookup->result);
    }
    memory_free(lookup);
}

static void ended(struct lookup *lookup) {
    lookup->done = true;
    if (lookup->abandoned) {
        lookup_free(lookup);
    } else {
        waitq_wake_all(&lookup->waiters, WAKE_READY);
    }
}

static struct lookup *new_lookup(const char *host, int family, int type) {
    struct lookup *lookup = memory_try(NULL, sizeof(*lookup));
    if (lookup == NULL) {
        return &no_memory;
    }
    memset(lookup, 0, sizeof(*lookup));
    lookup->ended = ended;
    lookup->hints.ai_family = family;
    lookup->hints.ai_socktype = type;
    if (rt.world != NULL) {
        join_simulation(lookup);
    }
    if (strlen(host) >= sizeof(lookup->host)) {
        lookup->done = true;
        lookup->err = UV_EAI_NONAME;
    } else {
        strcpy(lookup->host, host);
    }
    return lookup;
}

struct lookup *lookup_start(const char *host, int family, int type) {
    struct lookup *lookup = new_lookup(host, family, type);
    return lookup->done ? lookup : start(lookup);
}

static struct lookup *lookup_start_canonical(const char *host) {
    struct lookup *lookup = new_lookup(host, AF_INET, SOCK_STREAM);
    lookup->hints.ai_flags = AI_CANONNAME;
    return lookup->done ? lookup : start(lookup);
}

static struct lookup *lookup_start_service(const char *host, const char *service) {
    struct lookup *lookup = new_lookup(host, AF_UNSPEC, SOCK_STREAM);
    strncpy(lookup->service, service, sizeof(lookup->service) - 1);
    return lookup->done ? lookup : start(lookup);
}

static struct lookup *new_reverse(const struct sockaddr *address, int flags, bool service) {
    struct lookup *lookup = new_lookup("", AF_UNSPEC, SOCK_STREAM);
    lookup->reverse = true;
    lookup->service_wanted = service;
    lookup->flags = flags;
    size_t size =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    memcpy(&lookup->address, address, size);
    return lookup;
}

struct lookup *lookup_start_reverse(const struct sockaddr *address, int flags, bool service) {
    struct lookup *lookup = new_reverse(address, flags, service);
    return lookup->done ? lookup : start(lookup);
}

/* task_prepare() has been called. A lookup that is done already takes one turn. */
int lookup_wait(lua_State *L, struct lookup *lookup, uint64_t due, lua_KFunction k) {
    if (lookup->done) {
        return task_give_way(L, (lua_KContext)lookup, k);
    }
    if (lookup->scripted) {
        resolver_begin(L, lookup);
    }
    struct task *task = scheduler.current;
    task->interest.stays = true; /* the lookup belongs to the task until that goes on */
    waitq_join(&lookup->waiters, &task->interest, task, false);
    return task_park(L, "name lookup", due, true, (lua_KContext)lookup, k);
}

enum wake lookup_resumed(struct lookup *lookup) {
    enum wake why = task_resumed();
    if (why == WAKE_READY) {
        return why;
    }
    if (lookup->done) {
        lookup_free(lookup);
    } else {
        lookup->abandoned = true;
        if (lookup->scripted) {
            resolver_abandon(lookup);
        } else if (rt.driver->forget_lookup != NULL) {
            rt.driver->forget_lookup(lookup);
        }
    }
    return why;
}

int lookup_take(lua_State *L, struct lookup *lookup, int port, struct address *a) {
    int err = lookup->err;
    if (err == 0) {
        a->length = lookup->result->ai_addrlen;
        memcpy(&a->storage, lookup->result->ai_addr, lookup->result->ai_addrlen);
        address_set_port(a, port);
    }
    lookup_free(lookup);
    return err ? result_error(L, result_lookup_message(err)) : 0;
}

/* ---- a host for a socket ---- */

/* On top of the call's own arguments: the port and the user. */
static int resolved(lua_State *L, int status, lua_KContext ctx) {
    struct lookup *lookup = (struct lookup *)ctx;
    struct address a;
    (void)status;
    enum wake why = lookup_resumed(lookup);
    if (why != WAKE_READY) {
        return why == WAKE_DEADLINE ? result_error(L, "timeout") : task_raise(L);
    }
    address_user use = (address_user)(uintptr_t)lua_touserdata(L, -1);
    int failure = lookup_take(L, lookup, (int)lua_tointeger(L, -2), &a);
    if (failure) {
        return failure;
    }
    struct socket *s = socket_test(L, 1)->socket;
    lua_pop(L, 2);
    return s ? use(L, s, &a) : result_error(L, "closed");
}

int resolve_then(lua_State *L, const char *what, struct socket *s, const char *host, int port,
                 address_user use) {
    struct address a;
    if (strcmp(host, "*") == 0) {
        address_wildcard(s->family == AF_INET6 ? AF_INET6 : AF_INET, port, &a);
        return use(L, s, &a);
    }
    if (address_parse(host, port, s->family, &a)) {
        return use(L, s, &a);
    }
    int bad = address_check_host(L, host);
    if (bad) {
        return bad;
    }
    task_prepare(L, what);
    lua_pushinteger(L, port);
    lua_pushlightuserdata(L, (void *)(uintptr_t)use);
    return lookup_wait(L, lookup_start(host, s->family, socket_type(s)),
                       timeout_due(socket_timeout(s), clock_now()), resolved);
}

/* ---- socket.dns ---- */

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

/* What a lookup of either direction says of a host: its name, and its addresses as a list. */
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

/* What each function does with a finished lookup; the stack holds its arguments and this. */
typedef int (*finisher)(lua_State *L, struct lookup *lookup);

static int wait_for(lua_State *L, struct lookup *lookup, finisher finish);

/* toip() of an address: it is the answer, and is its own name if the name cannot be had. */
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

/* As getaddrinfo() of a name, or tohostname() of an address. */
int resolve_by_system(lua_State *L) {
    const char *host = luaL_checkstring(L, 1);
    struct address a;
    task_prepare(L, "getaddrinfo");
    if (address_parse(host, 0, AF_UNSPEC, &a)) {
        struct lookup *reverse = new_reverse((struct sockaddr *)&a.storage, NI_NAMEREQD, false);
        return wait_for(L, reverse->done ? reverse : start_by_driver(reverse), push_tohostname);
    }
    struct lookup *lookup = new_lookup(host, AF_UNSPEC, SOCK_STREAM);
    return wait_for(L, lookup->done ? lookup : start_by_driver(lookup), push_addrinfo);
}

/* An address is looked up by its name and a name by its addresses, IPv4 as LuaSocket's. */
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

int resolve_open_dns(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"getaddrinfo", dns_getaddrinfo}, {"toip", dns_toip},
        {"tohostname", dns_tohostname},   {"getnameinfo", dns_getnameinfo},
        {"gethostname", dns_gethostname}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
