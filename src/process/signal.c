/* SPDX-License-Identifier: MIT
 *
 * Signals that a script waits for: lariat.signal("HUP"). A watch replaces the signal's default action,
 * and lariat's own handlers of INT and TERM, until the last watch of that signal is closed.
 *
 * Lua owns the watch; libuv owns the uv_signal_t from uv_close to its callback, which frees it, so the
 * two are separate structs. Invariant: a signal that has arrived stays counted until wait() returns it
 * to a task, so that a cancelled wait loses none. Callbacks into Lua were rejected: a signal is one
 * more thing that a task waits for, and the code that handles it can therefore wait, too.
 */
#include <lauxlib.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "base/state.h"
#include "loop/interrupt.h"
#include "net/result.h"
#include "process/process.h"
#include "task/location.h"
#include "task/task.h"
#include "task/usage.h"

#define SIGNAL_TYPE "lariat.signal"

struct handle {
    uv_signal_t uv;             /* the first member: libuv's callbacks get a pointer to it */
    struct signal_watch *watch; /* NULL once closed */
    struct handle *prev, *next; /* the list of all open handles */
};

struct signal_watch {
    struct handle *handle; /* NULL: closed */
    struct waitq waiters;
    size_t arrived; /* signals that wait() has not returned yet */
    int number;
};

static struct handle *open_handles;

/* ---- names ---- */

static const struct signal_info *check(lua_State *L, int index) {
    size_t size;
    const char *name = luaL_checklstring(L, index, &size);
    const struct signal_info *info = strlen(name) == size ? signal_by_name(name) : NULL;
    if (info == NULL) {
        location_argerror(L, index, lua_pushfstring(L, "unknown signal '%s'", name));
    }
    return info;
}

int signal_check(lua_State *L, int index) {
    return check(L, index)->number;
}

/* ---- handles ---- */

static void on_signal(uv_signal_t *uv, int number) {
    struct signal_watch *w = ((struct handle *)uv)->watch;
    (void)number;
    if (w != NULL) {
        w->arrived++;
        waitq_wake_first(&w->waiters, WAKE_READY);
    }
}

static void free_handle(uv_handle_t *uv) {
    memory_free(uv);
}

static bool watched(int number) {
    for (struct handle *h = open_handles; h != NULL; h = h->next) {
        if (h->uv.signum == number) {
            return true;
        }
    }
    return false;
}

static void close_handle(struct handle *h) {
    int number = h->uv.signum;
    *(h->prev ? &h->prev->next : &open_handles) = h->next;
    if (h->next != NULL) {
        h->next->prev = h->prev;
    }
    h->watch->handle = NULL;
    h->watch = NULL;
    uv_signal_stop(&h->uv); /* the last one of a signal: libuv restores the default action */
    uv_close((uv_handle_t *)&h->uv, free_handle);
    if (!watched(number)) {
        interrupt_restore(number);
    }
}

static int open_handle(struct signal_watch *w) {
    struct handle *h = memory_try(NULL, sizeof(*h));
    if (h == NULL) {
        return UV_ENOMEM;
    }
    uv_signal_init(&rt.loop, &h->uv);
    int err = uv_signal_start(&h->uv, on_signal, w->number);
    if (err < 0) {
        uv_close((uv_handle_t *)&h->uv, free_handle);
        return err;
    }
    h->watch = w;
    w->handle = h;
    h->prev = NULL;
    h->next = open_handles;
    if (h->next != NULL) {
        h->next->prev = h;
    }
    open_handles = h;
    return 0;
}

void signal_close_all(void) {
    while (open_handles != NULL) {
        close_handle(open_handles);
    }
}

/* ---- waiting ---- */

static int waited(lua_State *L, int status, lua_KContext ctx);

/* The watch is alone on the stack. Returns a signal that has arrived, or "closed", or "timeout";
 * else waits until `due`. `again`: this wait was woken before, and keeps its turn in the queue. */
static int take(lua_State *L, struct signal_watch *w, uint64_t due, bool again) {
    if (w->handle == NULL) {
        return result_error(L, "closed");
    }
    if (w->arrived > 0) {
        w->arrived--;
        lua_pushstring(L, signal_name(w->number));
        return 1;
    }
    if (again && clock_now() >= due) {
        return result_error(L, "timeout");
    }
    task_prepare(L, "signal:wait");
    struct task *task = scheduler.current;
    waitq_join(&w->waiters, &task->interest, task, again);
    return task_park(L, "signal:wait", due, true, (lua_KContext)due, waited);
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
    struct signal_watch *w = lua_touserdata(L, 1);
    (void)status;
    if (task_resumed() == WAKE_CANCELLED) {
        if (w->arrived > 0) {
            waitq_wake_first(&w->waiters, WAKE_READY); /* our wake-up goes to the next waiter */
        }
        return task_raise(L);
    }
    return take(L, w, (uint64_t)ctx, true);
}

/* wait([seconds]) -> the signal's name | nil, "timeout" | nil, "closed" */
static int method_wait(lua_State *L) {
    struct signal_watch *w = location_check_self(L, SIGNAL_TYPE);
    uint64_t due = clock_after(task_opt_seconds(L, 2));
    lua_settop(L, 1);
    return take(L, w, due, false);
}

/* The watch as an iterator: `for name in lariat.signal("HUP") do`. */
static int method_call(lua_State *L) {
    struct signal_watch *w = location_check_self(L, SIGNAL_TYPE);
    lua_settop(L, 1);
    return take(L, w, NEVER, false);
}

static int method_close(lua_State *L) {
    struct signal_watch *w = location_check_self(L, SIGNAL_TYPE);
    if (w->handle != NULL) {
        close_handle(w->handle);
        waitq_wake_all(&w->waiters, WAKE_CLOSED);
    }
    lua_pushinteger(L, 1);
    return 1;
}

static int method_gc(lua_State *L) {
    return method_close(L), 0;
}

static int method_tostring(lua_State *L) {
    struct signal_watch *w = location_check_self(L, SIGNAL_TYPE);
    lua_pushfstring(L, "signal %s: %p", signal_name(w->number), lua_topointer(L, 1));
    return 1;
}

/* ---- for scripts ---- */

/* signal(name) -> watch | nil, message */
static int signal_new(lua_State *L) {
    usage_check_dot(L, "string");
    const struct signal_info *info = check(L, 1);
    if (info->unfit != NULL) {
        return luaL_argerror(
            L, 1,
            lua_pushfstring(L, "signal %s cannot be waited for (%s)", info->name, info->unfit));
    }
    if (rt.closing) {
        return luaL_error(L, "the runtime is closing: no signal can be waited for");
    }
    struct signal_watch *w = lua_newuserdatauv(L, sizeof(*w), 0);
    *w = (struct signal_watch){.number = info->number};
    luaL_setmetatable(L, SIGNAL_TYPE);
    int err = open_handle(w);
    if (err < 0) {
        return result_fail(L, err);
    }
    return 1;
}

int signal_open(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"wait", method_wait}, {"close", method_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__call", method_call},
                                    {"__close", method_gc},
                                    {"__gc", method_gc},
                                    {"__tostring", method_tostring},
                                    {NULL, NULL}};
    static const luaL_Reg functions[] = {{"new", signal_new}, {NULL, NULL}};
    luaL_newmetatable(L, SIGNAL_TYPE);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
