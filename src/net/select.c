/* SPDX-License-Identifier: MIT
 *
 * socket.select, and task.wait, which is its strict form. A call looks at once, by poll. If nothing is
 * ready, the task waits with one interest an entry, in all their queues; when it is woken it looks
 * again, and waits again unless something is ready or the time is up.
 *
 * Invariant: a descriptor that is not one of our sockets is watched only while the task waits.
 */
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/selection.h"
#include "net/socket.h"
#include "task/task.h"
#include "task/usage.h"

/* ---- looking ---- */

static bool ready_without_kernel(const struct entry *e) {
    const struct socket *s = e->socket;
    if (s == NULL) {
        return e->dirty;
    }
    if (s->closed) {
        return true; /* closed by another task: the next call says so */
    }
    return e->events == POLLIN && (input_size(s) > 0 || s->eof || datagrams_waiting(s));
}

/* A socket is writable only if a send would be taken: not while its block waits for the kernel. */
static bool ready_by_kernel(const struct entry *e, int revents) {
    if (!(revents & (e->events | POLLERR | POLLHUP | POLLNVAL))) {
        return false;
    }
    return e->events == POLLIN || e->socket == NULL || !e->socket->out.blocked;
}

/* A task is ready once it has ended; an object with a condition is asked by its method `ready`. */
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

/* Which entries are ready now? Flushes output first: a peer may wait for it. True if any is. */
static bool look(lua_State *L, struct selection *sel) {
    bool any = false;
    outputs_flush();
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        e->fd = e->socket ? e->socket->watch.fd : e->fd; /* setfd, or close */
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

/* The watch to wait on: its socket's, else the one that the descriptor has already, else a new one. */
static struct watch *watch_for(struct entry *e) {
    if (e->socket != NULL) {
        return &e->socket->watch;
    }
    struct watch *existing = rt.driver->watch_of(e->fd);
    if (existing != NULL) {
        return existing;
    }
    watch_init(&e->watch, rt.driver, e->fd);
    return &e->watch;
}

/* Watches every entry that has a descriptor: 0 or -errno. Sockets come first, so that a descriptor which
 * is in the lists both as a socket and by another object is watched once, by the socket's watch. */
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

/* A descriptor cannot be watched: select raises, as LuaSocket's does. If it was closed since the last
 * look, it counts as ready instead. */
static int not_watched(lua_State *L, struct selection *sel, int err) {
    selection_stop(sel);
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
        sel->interests[i].stays = e->socket != NULL; /* keeps its memory until the next look */
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
    selection_stop(sel);
    if (why == WAKE_CANCELLED) {
        return task_raise(L);
    }
    bool any = look(L, sel);
    return any || why == WAKE_DEADLINE || clock_now() >= sel->end ? results(L, sel, any)
                                                                  : wait(L, sel);
}

/* Has anything become ready that no event tells of? Copying the lists may have run finalizers, and these
 * may have closed a socket, set an event or read ahead. */
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
    selection_copy_lists(L);
    any = made_ready(L, sel) && look(L, sel);
    return any ? results(L, sel, any) : wait(L, sel);
}

static int choose(lua_State *L, bool strict) {
    lua_settop(L, SECONDS);
    lua_pushboolean(L, strict);
    selection_check_lists(L);
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

/* wait(objects, nil, seconds): the strict form, for lua/lariat/task.lua */
int select_wait(lua_State *L) {
    return choose(L, true);
}
