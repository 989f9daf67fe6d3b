/* SPDX-License-Identifier: MIT
 *
 * Lookups of names through the driver, and what most methods do with one: resolve_then.
 *
 * Invariant: a lookup is freed exactly once. A task that stops waiting for one abandons it: it then
 * frees itself when it ends, since the thread that works at it cannot be stopped. (One that no thread
 * has begun is taken back, and ends soon.)
 */
#include "net/resolve.h"

#include <lauxlib.h>
#include <netinet/in.h>
#include <string.h>

#include "net/resolver.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/address.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

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

/* The lookups of the simulation under way. Its end drops tasks without running them, so that they do
 * not free the lookups that they wait for: lookups_drop does. */
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

/* Returned in place of a lookup that there was no memory for: it has failed. */
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

/* Called by the driver. */
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

struct lookup *lookup_start_canonical(const char *host) {
    struct lookup *lookup = new_lookup(host, AF_INET, SOCK_STREAM);
    lookup->hints.ai_flags = AI_CANONNAME;
    return lookup->done ? lookup : start(lookup);
}

struct lookup *lookup_start_service(const char *host, const char *service) {
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

struct lookup *lookup_start_by_driver(const char *host) {
    struct lookup *lookup = new_lookup(host, AF_UNSPEC, SOCK_STREAM);
    return lookup->done ? lookup : start_by_driver(lookup);
}

struct lookup *lookup_reverse_by_driver(const struct sockaddr *address, int flags) {
    struct lookup *lookup = new_reverse(address, flags, false);
    return lookup->done ? lookup : start_by_driver(lookup);
}

/* If the lookup is done already, the task gives its turn away and goes on in the next tick. */
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

/* On the stack: the call's own arguments, the port, and what to do with the address. */
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
