/* SPDX-License-Identifier: MIT
 *
 * The dump: every task and every socket, and what it is doing, as tables. lua/lariat/internal/loop/dump.lua
 * makes text of them, for task.dump, SIGUSR1 and the report of a deadlock. Domains are read here, too:
 * the test runner gives each test a domain number, and finds by it the tasks and sockets that a test
 * has left behind.
 *
 * Invariant: a dump changes nothing. What it shows is either kept anyway (a source location is eight
 * bytes, a wait's start is the time of the tick, read once for all) or found out here: the line where
 * a task waits from its stack, a socket's names from the kernel, what a task waits for from the queues
 * it is in. Recording more in case of a dump was rejected.
 */
#include "loop/dump.h"

#include <lauxlib.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/address.h"
#include "net/socket.h"
#include "task/task.h"
#include "task/traceback.h"
#include "task/usage.h"

/* ---- small fields ---- */

static void set_location(lua_State *L, const char *field, struct location p) {
    if (p.file != 0) {
        location_push(L, p);
        lua_setfield(L, -2, field);
    }
}

static void set_seconds_since(lua_State *L, const char *field, uint64_t tick, uint64_t now) {
    lua_pushnumber(L, now > tick ? (double)(now - tick) / 1e9 : 0);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, uint64_t n) {
    lua_pushinteger(L, (lua_Integer)n);
    lua_setfield(L, -2, field);
}

/* Pushes "host:port" or "unix:/path"; false, and nothing pushed: the socket has no such name. */
static bool push_address(lua_State *L, const struct socket *s,
                         int (*get)(int, struct sockaddr_storage *, socklen_t *)) {
    struct address a = {.length = sizeof(a.storage)};
    if (s->watch.fd < 0 || s->class == FILE_STREAM || get(s->watch.fd, &a.storage, &a.length) < 0) {
        return false;
    }
    address_push_text(L, &a);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    return true;
}

/* ---- what tasks wait for ---- */

/* With the table of peers and a description on top: what whoever has a place in `queue` waits for. */
static void note_queue(lua_State *L, const struct waitq *queue) {
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, queue);
}

/* What the task waits for, or has waited for and not gone on: the first that has a description, or
 * nil. The table of peers is at index `peers`. */
static int push_peer_of(lua_State *L, const struct task *task, int peers) {
    int type = lua_rawgetp(L, peers, task->interest.queue);
    for (unsigned i = 0; i < task->set_count && type == LUA_TNIL; i++) {
        lua_pop(L, 1);
        type = lua_rawgetp(L, peers, task->set[i].queue);
    }
    return type;
}

/* Pushes the socket's peer name, else its own name, else its class. */
static void push_peer(lua_State *L, const struct socket *s) {
    if (!push_address(L, s, s->watch.driver->getpeername) &&
        !push_address(L, s, s->watch.driver->getsockname)) {
        lua_pushstring(L, socket_class_name(s->class));
    }
}

static void push_peers(lua_State *L) {
    lua_newtable(L);
    for (struct socket *s = sockets.all; s != NULL; s = s->all_next) {
        if (socket_awaited(s)) {
            push_peer(L, s);
            note_queue(L, &s->watch.readers);
            note_queue(L, &s->watch.writers);
            lua_pop(L, 1);
        }
    }
    for (struct task *t = scheduler.all; t != NULL; t = t->all_next) {
        const struct task_object *object = task_object(L, t);
        if (object != NULL && !waitq_is_empty(&object->joiners)) {
            lua_pushliteral(L, "task ");
            task_push_name(L, t);
            lua_concat(L, 2);
            note_queue(L, &object->joiners);
            lua_pop(L, 1);
        }
    }
}

/* ---- tasks ---- */

/* The innermost coroutine that the task is running, where its wait is. For the current task, which
 * is making the dump, that is the running coroutine. */
static lua_State *innermost(lua_State *L, const struct task *t) {
    if (t == scheduler.current) {
        return rt.running ? rt.running : L;
    }
    return t->inner ? t->inner : t->co;
}

static void set_stack(lua_State *L, const struct task *t) {
    struct location where = {0, 0};
    lua_State *inner = innermost(L, t);
    int level = location_of_coroutine(inner, &where);
    if (level < 0) {
        location_of_coroutine(t->co, &where);
    }
    set_location(L, "where", where);
    traceback_push(L, inner, NULL, t == scheduler.current && level > 0 ? level : 0);
    if (inner != t->co) {
        lua_pushliteral(L, "\nin a coroutine of its own; ");
        traceback_push(L, t->co, NULL, 0);
        lua_concat(L, 3);
    }
    lua_setfield(L, -2, "traceback");
}

/* When the task was spawned, in units of TASK_AGE_NS, but no later than its current wait began. */
static uint64_t begun(const struct task *t, uint64_t now) {
    uint64_t age = ((unsigned)(now / TASK_AGE_NS) - t->born) * TASK_AGE_NS;
    return now - age < t->since ? now - age : t->since;
}

/* Pushes a table about the task; the table of peers is at index `peers`. */
static void push_task(lua_State *L, struct task *t, int peers) {
    static const char *const states[] = {"ready", "running", "waiting", "done"};
    uint64_t now = clock_now();
    lua_createtable(L, 0, 10);
    task_push(L, t);
    lua_setfield(L, -2, "task");
    task_push_name(L, t);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, states[t->state]);
    lua_setfield(L, -2, "status");
    set_seconds_since(L, "age", begun(t, now), now);
    set_location(L, "spawned_at", spawn_trace_of(t->record.spawn_trace)->lines[0]);
    if (t->state == TASK_WAITING) {
        lua_pushstring(L, t->waiting_for);
        lua_setfield(L, -2, "waiting_for");
        set_seconds_since(L, "since", t->since, now);
    }
    if (push_peer_of(L, t, peers) != LUA_TNIL) {
        lua_setfield(L, -2, "peer");
    } else {
        lua_pop(L, 1);
    }
    set_stack(L, t);
}

/* ---- sockets ---- */

static void push_socket(lua_State *L, const struct socket *s) {
    uint64_t received, sent;
    drain_traffic(s, &received, &sent);
    lua_createtable(L, 0, 8);
    lua_pushstring(L, socket_class_name(s->class));
    lua_setfield(L, -2, "class");
    if (push_address(L, s, s->watch.driver->getsockname)) {
        lua_setfield(L, -2, "sockname");
    }
    if (push_address(L, s, s->watch.driver->getpeername)) {
        lua_setfield(L, -2, "peername");
    }
    set_integer(L, "received", received);
    set_integer(L, "sent", sent);
    set_integer(L, "queued", s->out.size);
    set_location(L, "made_at", s->made_at);
    if (socket_drain(s) != NULL) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "draining");
    }
}

/* ---- for lua/lariat ---- */

/* tasks() -> list of tables, the newest task first */
static int fn_tasks(lua_State *L) {
    lua_Integer n = 0;
    lua_settop(L, 0);
    push_peers(L);
    lua_newtable(L);
    for (struct task *t = scheduler.all; t != NULL; t = t->all_next) {
        push_task(L, t, 1);
        lua_rawseti(L, 2, ++n);
    }
    return 1;
}

/* sockets() -> list of tables, the newest socket first */
static int fn_sockets(lua_State *L) {
    lua_Integer n = 0;
    sockets.exact_locations = true;
    lua_newtable(L);
    for (struct socket *s = sockets.all; s != NULL; s = s->all_next) {
        push_socket(L, s);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* domain([number]) -> the current task's domain so far. From now on the task, and the tasks and
 * sockets that it makes, belong to domain `number`. */
static int fn_domain(lua_State *L) {
    struct task *task = scheduler.current;
    luaL_argcheck(L, task != NULL, 1, "not in a task");
    unsigned domain = (unsigned)luaL_optinteger(L, 1, task->domain);
    sockets.exact_locations |= domain != 0;
    lua_pushinteger(L, task->domain);
    task->domain = domain;
    return 1;
}

/* left(number) -> a list of the other tasks of that domain and a list of its sockets, as in tasks()
 * and sockets(). Closed sockets that still send are not listed, nor are the standard streams. */
static int fn_left(lua_State *L) {
    unsigned domain = (unsigned)luaL_checkinteger(L, 1);
    lua_Integer n = 0;
    lua_newtable(L);
    for (struct task *t = scheduler.all; t != NULL; t = t->all_next) {
        if (t->domain == domain && t != scheduler.current) {
            push_task(L, t, 2); /* shows no peers: the list serves as an empty table of peers */
            lua_rawseti(L, 2, ++n);
        }
    }
    lua_newtable(L);
    n = 0;
    for (struct socket *s = sockets.all; s != NULL; s = s->all_next) {
        if (s->domain == domain && socket_drain(s) == NULL && !s->standard) {
            push_socket(L, s);
            lua_rawseti(L, 3, ++n);
        }
    }
    return 2;
}

/* failed(task) -> has its error been reported, and not been raised by a join since? */
static int fn_failed(lua_State *L) {
    lua_pushboolean(L, task_record(task_check(L, 1))->reported);
    return 1;
}

static int push_text(lua_State *L) {
    usage_push_function(L, "lariat.internal.loop.dump", lua_toboolean(L, 1) ? "text" : "lines");
    lua_call(L, 0, 1);
    return 1;
}

void dump_push_text(lua_State *L, bool all) {
    lua_pushcfunction(L, push_text);
    lua_pushboolean(L, all);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK || lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushliteral(L, "(no dump: out of memory)\n");
    }
}

int dump_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"tasks", fn_tasks},   {"sockets", fn_sockets},
                                         {"domain", fn_domain}, {"left", fn_left},
                                         {"failed", fn_failed}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
