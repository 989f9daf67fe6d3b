/* SPDX-License-Identifier: MIT
 *
 * Connecting a stream. Connecting to one address is an operation whose attempt calls connect() again
 * (EALREADY is "not yet"). Connecting to a name with several addresses is a race after RFC 8305: a new
 * attempt every 250 ms, or as soon as one fails, families alternating; the first to connect gives its
 * descriptor to the socket.
 *
 * Invariant: until a racer has won, its descriptor belongs to the race, a userdata on the waiting task's
 * stack. Whatever ends the race closes all other descriptors.
 */
#include "net/connect.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/options.h"
#include "net/resolve.h"
#include "net/result.h"
#include "task/task.h"

#define RACE_DELAY_NS (250ull * 1000 * 1000) /* RFC 8305, Connection Attempt Delay */
#define MOST_RACERS 16

/* ---- one address ---- */

static int connect_failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

static int attempt_connect(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    int err =
        s->watch.driver->connect(s->watch.fd, (const struct sockaddr *)&op->as.connect.to->storage,
                                 op->as.connect.to->length);
    bool begun = s->connecting;
    if (err == -EINPROGRESS || err == -EALREADY) {
        s->connecting = true;
        if (err == -EALREADY && socket_timeout(s)->block == 0 && op->start == 0) {
            return result_fail(L, err);
        }
        return WANT_WRITE;
    }
    if (err == -EAGAIN && s->family == AF_UNIX) {
        return WANT_PAUSE; /* the listener's backlog is full, and no event tells when it is not */
    }
    s->connecting = false;
    if (err == 0 || (err == -EISCONN && begun && op->start != 0)) {
        s->connected = true;
        if (s->class == UNIX_MASTER) {
            socket_become(L, 1, UNIX_CLIENT);
        }
        return result_ok(L, 1);
    }
    return result_fail(L, err);
}

static void keep_address(lua_State *L, struct op *op) {
    op->as.connect.to = address_keep(L, op->as.connect.to);
}

static const struct op_type connect_op = {"connect", attempt_connect, connect_failed, keep_address};

int connect_to_address(lua_State *L, struct socket *s, const struct address *a, uint64_t start) {
    struct op op;
    op_init(&op, &connect_op, s);
    int err = socket_create_descriptor(s, a->storage.ss_family);
    if (err < 0) {
        return result_fail(L, err);
    }
    if (s->class != UNIX_MASTER) {
        socket_become(L, 1, TCP_CLIENT); /* even if it fails, as LuaSocket's */
    }
    op.once = socket_timeout(s)->block == 0 || socket_timeout(s)->total == 0;
    op.start = start;
    op.as.connect.to = a;
    return op_run(L, &op);
}

/* ---- several addresses ---- */

struct racer {
    struct watch watch; /* fd -1: not started, or lost */
    struct address address;
};

struct race {
    size_t count, started;
    int last_error; /* of the last address in the resolver's order that failed */
    size_t last_index;
    uint64_t end; /* the caller's deadline */
    uint64_t next_start;
    struct interest interests[1 + MOST_RACERS]; /* first: in the socket, for when it is closed */
    struct racer racers[MOST_RACERS];
};

static void drop(struct racer *r) {
    if (r->watch.fd >= 0) {
        watch_stop(&r->watch);
        r->watch.driver->close(r->watch.fd);
        r->watch.fd = -1;
    }
}

/* Another racer may have connected as well: SO_LINGER is switched off, so that close(2) does not wait. */
static void race_drop_all(struct race *race) {
    struct linger off = {0, 0};
    for (size_t i = 0; i < race->count; i++) {
        const struct watch *w = &race->racers[i].watch;
        if (w->fd >= 0) {
            w->driver->setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
        }
        drop(&race->racers[i]);
    }
}

static int race_gc(lua_State *L) {
    race_drop_all(lua_touserdata(L, 1));
    return 0;
}

static struct race *race_new(lua_State *L, uint64_t end) {
    struct race *race = lua_newuserdatauv(L, sizeof(*race), 0);
    memset(race, 0, sizeof(*race));
    race->end = end;
    if (luaL_newmetatable(L, "lariat.race")) {
        lua_pushcfunction(L, race_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return race;
}

/* RFC 8305 section 4: the resolver's order, but families take turns. */
static void race_add_addresses(struct race *race, const struct addrinfo *info, int port) {
    const struct addrinfo *next[2] = {info, info};
    int family = info ? info->ai_family : AF_INET;
    int families[2] = {family, family == AF_INET6 ? AF_INET : AF_INET6};
    for (int turn = 0; (next[0] || next[1]) && race->count < MOST_RACERS; turn ^= 1) {
        while (next[turn] != NULL && next[turn]->ai_family != families[turn]) {
            next[turn] = next[turn]->ai_next;
        }
        if (next[turn] == NULL) {
            continue;
        }
        struct racer *r = &race->racers[race->count++];
        watch_init(&r->watch, rt.driver, -1);
        r->address.length = next[turn]->ai_addrlen;
        memcpy(&r->address.storage, next[turn]->ai_addr, next[turn]->ai_addrlen);
        address_set_port(&r->address, port);
        next[turn] = next[turn]->ai_next;
    }
}

static void lost(struct race *race, struct racer *r, int err) {
    size_t index = (size_t)(r - race->racers);
    if (index >= race->last_index) {
        race->last_index = index;
        race->last_error = err;
    }
    drop(r);
    race->next_start = 0; /* RFC 8305: do not wait for the delay after a failure */
}

/* Calls connect(), for the first time or again. True: it is connected; else it is watched, or has lost. */
static bool try_racer(struct race *race, struct racer *r) {
    int err = r->watch.driver->connect(r->watch.fd, (struct sockaddr *)&r->address.storage,
                                       r->address.length);
    if (err == 0 || err == -EISCONN) {
        return true;
    }
    if (err == -EINPROGRESS || err == -EALREADY) {
        err = watch_arm(&r->watch, POLLOUT);
    }
    if (err < 0) {
        lost(race, r, err);
    }
    return false;
}

static struct racer *start_next(struct race *race, struct socket *s) {
    struct racer *r = &race->racers[race->started++];
    int family = r->address.storage.ss_family;
    race->next_start = clock_now() + RACE_DELAY_NS;
    int fd = r->watch.driver->socket(family, SOCK_STREAM, 0);
    if (fd < 0) {
        lost(race, r, fd);
        return NULL;
    }
    r->watch.fd = fd;
    options_start(r->watch.driver, fd, family, SOCK_STREAM);
    int err = options_replay(s, fd);
    if (err < 0) {
        lost(race, r, err);
        return NULL;
    }
    return try_racer(race, r) ? r : NULL;
}

static int won(lua_State *L, struct socket *s, struct racer *r) {
    int fd = r->watch.fd;
    watch_stop(&r->watch);
    r->watch.fd = -1;
    if (s->watch.fd >= 0) {
        watch_stop(&s->watch);
        s->watch.driver->close(s->watch.fd);
        s->watch.fd = -1;
    }
    socket_adopt(s, fd);
    s->connected = true;
    s->family = r->address.storage.ss_family;
    return result_ok(L, 1);
}

static int race_resumed(lua_State *L, int status, lua_KContext ctx);

static int race_wait(lua_State *L, struct race *race, struct socket *s) {
    struct task *task = scheduler.current;
    task_prepare(L, "connect");
    task->set = race->interests;
    task->set_count = 1 + (unsigned)race->started;
    memset(race->interests, 0, sizeof(race->interests));
    watch_stop(
        &s->watch); /* only its close matters here, not an earlier attempt on its descriptor */
    waitq_join(&s->watch.writers, &race->interests[0], task, false);
    for (size_t i = 0; i < race->started; i++) {
        if (race->racers[i].watch.fd >= 0) {
            waitq_join(&race->racers[i].watch.writers, &race->interests[1 + i], task, false);
        }
    }
    uint64_t next = race->started < race->count ? race->next_start : NEVER;
    uint64_t due = next < race->end ? next : race->end;
    return task_park(L, "connect", due, true, (lua_KContext)race, race_resumed);
}

static int race_step(lua_State *L, struct race *race) {
    struct socket_box *box = socket_test(L, 1);
    if (box->socket == NULL) {
        return result_error(L, "closed");
    }
    size_t alive = 0;
    for (size_t i = 0; i < race->started; i++) {
        struct racer *r = &race->racers[i];
        if (r->watch.fd >= 0 && try_racer(race, r)) {
            return won(L, box->socket, r);
        }
        alive += r->watch.fd >= 0;
    }
    while (race->started < race->count && (alive == 0 || clock_now() >= race->next_start)) {
        struct racer *r = start_next(race, box->socket);
        if (r != NULL) {
            return won(L, box->socket, r);
        }
        alive += race->racers[race->started - 1].watch.fd >= 0;
    }
    if (alive == 0) {
        int err = race->last_error ? race->last_error : -EADDRNOTAVAIL;
        return result_error(L, result_watch_message(err));
    }
    return clock_now() >= race->end ? result_error(L, "timeout") : race_wait(L, race, box->socket);
}

/* When a step returns, the race is over: close what is left now, not when the race is collected. */
static int race_run(lua_State *L, struct race *race) {
    int n = race_step(L, race);
    race_drop_all(race);
    return n;
}

static int race_resumed(lua_State *L, int status, lua_KContext ctx) {
    struct race *race = (struct race *)ctx;
    (void)status;
    if (task_resumed() == WAKE_CANCELLED) {
        race_drop_all(race);
        return task_raise(L);
    }
    return race_run(L, race);
}

/* ---- names ---- */

/* A socket that is bound, or that may not wait, keeps its descriptor and tries the first address only. */
static bool may_race(const struct socket *s, const struct addrinfo *info) {
    bool may_wait = socket_timeout(s)->block != 0 && socket_timeout(s)->total != 0;
    return info->ai_next != NULL && may_wait && !s->bound;
}

#define SELF 1
#define PORT 3
#define STARTED 4

static int connect_looked_up(lua_State *L, int status, lua_KContext ctx) {
    struct lookup *lookup = (struct lookup *)ctx;
    (void)status;
    enum wake why = lookup_resumed(lookup);
    if (why != WAKE_READY) {
        return why == WAKE_DEADLINE ? result_error(L, "timeout") : task_raise(L);
    }
    struct socket *s = socket_test(L, SELF)->socket;
    if (lookup->err != 0 || s == NULL) {
        const char *message = s ? result_lookup_message(lookup->err) : "closed";
        lookup_free(lookup);
        return result_error(L, message);
    }
    uint64_t start = (uint64_t)lua_tointeger(L, STARTED);
    int port = (int)lua_tointeger(L, PORT);
    if (may_race(s, lookup->result)) {
        struct race *race = race_new(L, timeout_due(socket_timeout(s), start));
        race_add_addresses(race, lookup->result, port);
        lookup_free(lookup);
        return race_run(L, race);
    }
    struct address a;
    lookup_take(L, lookup, port, &a);
    return connect_to_address(L, s, &a, start);
}

int connect_to_host(lua_State *L, struct socket *s, const char *host, int port) {
    struct address a;
    if (strcmp(host, "*") == 0) {
        address_wildcard(s->family == AF_INET6 ? AF_INET6 : AF_INET, port, &a);
        return connect_to_address(L, s, &a, 0);
    }
    if (address_parse(host, port, s->family, &a)) {
        return connect_to_address(L, s, &a, 0);
    }
    task_prepare(L, "connect");
    socket_become(L, SELF, TCP_CLIENT);
    int bad = address_check_host(L, host);
    if (bad) {
        return bad;
    }
    uint64_t start = clock_now();
    lua_settop(L, 2);
    lua_pushinteger(L, port);
    lua_pushinteger(L, (lua_Integer)start);
    return lookup_wait(L, lookup_start(host, s->family, SOCK_STREAM),
                       timeout_due(socket_timeout(s), start), connect_looked_up);
}
