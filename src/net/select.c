/* SPDX-License-Identifier: MIT
 *
 * socket.select over our sockets, over any object with `getfd` (and `dirty`), as LuaSocket's, and
 * over what tasks wait for among themselves: tasks, and objects with a gate `watchers` and `ready`.
 * A look at once decides by poll; otherwise the task waits with one interest an entry.
 *
 * Invariant: a descriptor that is not one of our sockets is watched only while the task waits, by a
 * watch in the selection, which stops them even if it is collected.
 */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "net/datagram.h"
#include "kernel/driver.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"
#include "base/clock.h"
#include "base/state.h"
#include "task/task.h"
#include "task/usage.h"

#define SELECTION_TYPE "lariat.selection"
#define MOST_ENTRIES (1 << 24) /* of a list: so that sizes do not overflow */

struct entry {
    struct socket *socket;          /* NULL: a foreign object */
    struct waitq *queue;            /* of a task, or of a gate that speaks for an object */
    const struct task_object *task; /* ready when it has ended */
    struct watch watch;             /* for a foreign descriptor */
    int fd;
    int events;        /* POLLIN or POLLOUT */
    lua_Integer index; /* in the script's table */
    bool dirty;        /* readable without asking the kernel */
    bool ready;
};

struct selection {
    size_t count;
    uint64_t end;
    struct interest *interests;
    struct pollfd *polls;
    struct entry entries[];
};

/* On the stack of a call. STRICT: what cannot be waited for is an error, and a closed socket ready. */
enum { RECEIVERS = 1, SENDERS, SECONDS, STRICT };

/* ---- collecting ---- */

static size_t length_of(lua_State *L, int table) {
    if (lua_isnoneornil(L, table)) {
        return 0;
    }
    luaL_checktype(L, table, LUA_TTABLE);
    lua_Integer n = luaL_len(L, table);
    luaL_argcheck(L, n >= 0 && n <= MOST_ENTRIES, table, "list is too long");
    return (size_t)n;
}

/* The object on top can be indexed, or is no element of a list of sockets. */
static void check_indexable(lua_State *L, const struct entry *e) {
    int type = luaL_getmetafield(L, -1, "__index");
    if (type != LUA_TNIL) {
        lua_pop(L, 1);
    } else if (!lua_istable(L, -1)) {
        location_argerror(L, e->events == POLLIN ? RECEIVERS : SENDERS,
                          lua_pushfstring(L, "element %I: socket expected, got %s", e->index,
                                          luaL_typename(L, -1)));
    }
}

/* Calls the method on top, with the object below it. */
static void ask(lua_State *L, const struct entry *e, const char *method) {
    if (luaL_getmetafield(L, -1, "__call") != LUA_TNIL) {
        lua_pop(L, 1);
    } else if (!lua_isfunction(L, -1)) {
        location_argerror(
            L, e->events == POLLIN ? RECEIVERS : SENDERS,
            lua_pushfstring(L, "element %I: its '%s' is no function", e->index, method));
    }
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
}

/* The object on top, by its methods: what LuaSocket asks of anything that can be indexed. */
static void ask_foreign(lua_State *L, struct entry *e) {
    int top = lua_gettop(L);
    e->fd = -1;
    check_indexable(L, e);
    if (lua_getfield(L, top, "getfd") != LUA_TNIL) {
        ask(L, e, "getfd");
        lua_Number fd = lua_tonumber(L, -1);
        e->fd = lua_isnumber(L, -1) && fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
    }
    lua_settop(L, top);
    if (e->events == POLLIN && lua_getfield(L, top, "dirty") != LUA_TNIL) {
        ask(L, e, "dirty");
        e->dirty = lua_toboolean(L, -1);
    }
    lua_settop(L, top);
}

/* The object on top if it is one of those that tasks wake: it has a queue, and no descriptor. */
static bool ask_waitable(lua_State *L, struct entry *e) {
    int top = lua_gettop(L);
    struct task_object *handle = luaL_testudata(L, top, TASK_TYPE);
    e->task = handle;
    if (handle != NULL) {
        e->queue = &handle->joiners;
    } else if (lua_istable(L, top) && lua_getfield(L, top, "watchers") != LUA_TNIL) {
        e->queue = condition_test(L, -1);
    }
    lua_settop(L, top);
    e->fd = -1;
    return e->queue != NULL;
}

/* A socket twice in one list is listed once, as a descriptor in a set is. Nothing of the script's runs
 * between the mark and its end. */
static void drop_repeated(struct selection *sel, size_t first) {
    size_t count = first;
    for (size_t i = first; i < sel->count; i++) {
        struct socket *s = sel->entries[i].socket;
        if (s != NULL && s->selected) {
            continue;
        }
        if (s != NULL) {
            s->selected = true;
        }
        if (count < i) {
            sel->entries[count] = sel->entries[i];
        }
        count++;
    }
    sel->count = count;
    for (size_t i = first; i < count; i++) {
        if (sel->entries[i].socket != NULL) {
            sel->entries[i].socket->selected = false;
        }
    }
}

static void collect(lua_State *L, struct selection *sel, int table, size_t n, int events) {
    size_t first = sel->count;
    for (size_t i = 1; i <= n; i++) {
        struct entry *e = &sel->entries[sel->count];
        memset(e, 0, sizeof(*e));
        e->events = events;
        e->index = (lua_Integer)i;
        lua_geti(L, table, (lua_Integer)i);
        struct socket_box *box = socket_test(L, -1);
        if (box != NULL) {
            e->socket = box->socket;
            e->fd = box->socket ? box->socket->watch.fd : -1;
        } else if (!ask_waitable(L, e)) {
            ask_foreign(L, e);
        }
        lua_pop(L, 1);
        if (lua_toboolean(L, STRICT) && e->queue == NULL && e->fd < 0) {
            if (box == NULL) {
                location_argerror(L, 1,
                                  lua_pushfstring(L, "object %d cannot be waited for", (int)i));
            }
            e->socket = NULL; /* that is what it is ready to say */
            e->dirty = true;
            sel->count++;
            continue;
        }
        sel->count += e->queue != NULL || e->fd >= 0;
    }
    drop_repeated(sel, first);
}

/* Another task's selection may wait on our watch of a descriptor: it must make its own. Its place in
 * the queue is gone once it is woken. */
static void stop_foreign(struct selection *sel) {
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        if (e->socket == NULL && e->queue == NULL) {
            watch_stop(&e->watch);
            waitq_wake_all(&e->watch.readers, WAKE_READY);
            waitq_wake_all(&e->watch.writers, WAKE_READY);
        }
    }
}

static int selection_gc(lua_State *L) {
    stop_foreign(lua_touserdata(L, 1));
    return 0;
}

static struct selection *selection_new(lua_State *L) {
    size_t receivers = length_of(L, RECEIVERS), senders = length_of(L, SENDERS);
    size_t n = receivers + senders;
    struct selection *sel;
    size_t each = sizeof(*sel->entries) + sizeof(*sel->interests) + sizeof(*sel->polls);
    sel = lua_newuserdatauv(L, sizeof(*sel) + n * each, 0);
    sel->count = 0;
    sel->interests = (struct interest *)(sel->entries + n);
    sel->polls = (struct pollfd *)(sel->interests + n);
    if (luaL_newmetatable(L, SELECTION_TYPE)) {
        lua_pushcfunction(L, selection_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    collect(L, sel, RECEIVERS, receivers, POLLIN);
    collect(L, sel, SENDERS, senders, POLLOUT);
    return sel;
}

/* ---- looking ---- */

static bool ready_without_kernel(const struct entry *e) {
    const struct socket *s = e->socket;
    if (s == NULL) {
        return e->dirty;
    }
    if (s->closed) {
        return true; /* another task closed it: the next call says so */
    }
    return e->events == POLLIN && (input_size(s) > 0 || s->eof || datagrams_waiting(s));
}

/* Writable means that a send would be taken: nothing waits for the kernel. */
static bool ready_by_kernel(const struct entry *e, int revents) {
    if (!(revents & (e->events | POLLERR | POLLHUP | POLLNVAL))) {
        return false;
    }
    return e->events == POLLIN || e->socket == NULL || !e->socket->out.blocked;
}

/* A gate's object says itself whether it is ready. */
static bool waitable_ready(lua_State *L, const struct entry *e) {
    if (e->task != NULL) {
        return e->task->task == NULL;
    }
    lua_geti(L, e->events == POLLIN ? RECEIVERS : SENDERS, e->index);
    lua_getfield(L, -1, "ready");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    bool ready = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return ready;
}

static bool look(lua_State *L, struct selection *sel) {
    bool any = false;
    outputs_flush();
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        e->fd = e->socket ? e->socket->watch.fd : e->fd; /* it may have another, or none, by now */
        sel->polls[i] = (struct pollfd){.fd = e->fd, .events = (short)e->events};
    }
    rt.driver->poll(sel->polls, sel->count);
    task_spent(1 + (int)(sel->count / 16));
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        bool by_kernel = ready_by_kernel(e, sel->polls[i].revents);
        e->ready = by_kernel || (e->queue ? waitable_ready(L, e) : ready_without_kernel(e));
        if (by_kernel && e->socket != NULL && e->events == POLLIN) {
            e->socket->watch.drained = false;
        }
        any |= e->ready;
    }
    return any;
}

/* ---- results ---- */

static void push_ready(lua_State *L, const struct selection *sel, int events, int from) {
    lua_Integer n = 0;
    lua_newtable(L);
    for (size_t i = 0; i < sel->count; i++) {
        const struct entry *e = &sel->entries[i];
        if (!e->ready || e->events != events) {
            continue;
        }
        lua_geti(L, from, e->index);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++n);
        lua_pushinteger(L, n);
        lua_rawset(L, -3);
    }
}

static int results(lua_State *L, const struct selection *sel, bool any) {
    push_ready(L, sel, POLLIN, RECEIVERS);
    push_ready(L, sel, POLLOUT, SENDERS);
    if (any) {
        return 2;
    }
    lua_pushliteral(L, "timeout");
    return 3;
}

/* ---- waiting ---- */

static int select_resumed(lua_State *L, int status, lua_KContext ctx);

/* The watch to wait on; a foreign descriptor that poll cannot report is ready by definition. */
static struct watch *watch_for(struct entry *e) {
    if (e->socket != NULL) {
        return &e->socket->watch;
    }
    struct watch *owner = rt.driver->watch_of(e->fd);
    if (owner != NULL) {
        return owner;
    }
    watch_init(&e->watch, rt.driver, e->fd);
    return &e->watch;
}

/* Has all of them watched that have a descriptor: 0 or -errno. Sockets first: one that is also listed
 * as a foreign descriptor takes that over. */
static int arm(struct selection *sel) {
    int err = 0;
    for (int foreign = 0; foreign <= 1; foreign++) {
        for (size_t i = 0; i < sel->count && err >= 0; i++) {
            struct entry *e = &sel->entries[i];
            if (e->queue == NULL && (e->socket == NULL) == foreign) {
                err = watch_arm(watch_for(e), e->events);
            }
        }
    }
    return err;
}

/* What cannot be watched is not waited for: select raises, as LuaSocket's. A descriptor that was
 * closed since it was looked at counts as ready. */
static int not_watched(lua_State *L, struct selection *sel, int err) {
    stop_foreign(sel);
    if (err == -EBADF && look(L, sel)) {
        return results(L, sel, true);
    }
    return lua_toboolean(L, STRICT) ? result_error(L, result_watch_message(err))
                                    : luaL_error(L, "select failed: %s", result_watch_message(err));
}

static int wait(lua_State *L, struct selection *sel) {
    struct task *task = scheduler.current;
    task_prepare(L, "select");
    int err = arm(sel);
    if (err < 0) {
        return not_watched(L, sel, err);
    }
    task->set = sel->interests;
    task->set_count = (unsigned)sel->count;
    memset(sel->interests, 0, sel->count * sizeof(*sel->interests));
    bool source = false;
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        struct waitq *queue = e->queue;
        sel->interests[i].stays = e->socket != NULL; /* which must not go before this has looked */
        if (queue == NULL) {
            struct watch *w = watch_for(e);
            queue = e->events == POLLIN ? &w->readers : &w->writers;
            source = true;
        }
        waitq_join(queue, &sel->interests[i], task, false);
    }
    return task_park(L, "select", sel->end, source, (lua_KContext)sel, select_resumed);
}

static int select_resumed(lua_State *L, int status, lua_KContext ctx) {
    struct selection *sel = (struct selection *)ctx;
    (void)status;
    enum wake why = task_resumed();
    stop_foreign(sel);
    if (why == WAKE_CANCELLED) {
        return task_raise(L);
    }
    bool any = look(L, sel);
    return any || why == WAKE_DEADLINE || clock_now() >= sel->end ? results(L, sel, any)
                                                                  : wait(L, sel);
}

/* The script may change its tables while the task waits: results come from copies. */
static void keep_list(lua_State *L, int table) {
    lua_Integer n = (lua_Integer)length_of(L, table);
    lua_createtable(L, n < INT_MAX ? (int)n : 0, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, table, i);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, table);
}

/* Copying the lists may run finalizers, and these may close a socket, set an event or read ahead. */
static bool made_ready(lua_State *L, const struct selection *sel) {
    bool any = false;
    for (size_t i = 0; i < sel->count && !any; i++) {
        const struct entry *e = &sel->entries[i];
        any = e->queue ? waitable_ready(L, e) : ready_without_kernel(e);
    }
    return any;
}

static int select_now(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    if (scheduler.current != NULL && ctx && task_resumed() == WAKE_CANCELLED) {
        return task_raise(L);
    }
    double seconds = luaL_optnumber(L, SECONDS, -1);
    struct selection *sel = selection_new(L);
    bool any = look(L, sel);
    if (any || seconds == 0) {
        return results(L, sel, any);
    }
    sel->end = clock_after(seconds);
    keep_list(L, RECEIVERS);
    keep_list(L, SENDERS);
    any = made_ready(L, sel) && look(L, sel);
    return any ? results(L, sel, any) : wait(L, sel);
}

static int choose(lua_State *L, bool strict) {
    lua_settop(L, SECONDS);
    lua_pushboolean(L, strict);
    length_of(L, RECEIVERS);
    length_of(L, SENDERS);
    task_opt_seconds(L, SECONDS);
    if (scheduler.budget <= 0 && task_can_wait(L)) {
        task_prepare(L, "select");
        return task_give_way(L, 1, select_now);
    }
    return select_now(L, LUA_OK, 0);
}

/* select(receivers, senders [, seconds]) -> readable, writable [, "timeout"] */
int socket_select(lua_State *L) {
    usage_check_dot(L, "table");
    return choose(L, false);
}

/* wait(objects, nil, seconds): the same for lua/lariat/task.lua, which wants no surprises */
int select_wait(lua_State *L) {
    return choose(L, true);
}
