/* SPDX-License-Identifier: MIT
 *
 * Lua's coroutine library, changed so that code in a script's own coroutine can wait for a socket:
 * a yield of the runtime (scheduler.parking) passes through any number of resumes to the scheduler,
 * and the wake-up resumes the same coroutines again. Everything else is as in Lua 5.4.
 *
 * The extra space of a lua_State holds a mark (CO_IN_RUNTIME) while its coroutine is suspended by
 * the runtime and not by its own yield. The status of such a coroutine is "normal", and a script
 * cannot resume it. A task's own coroutine always has the mark, and looks like the main coroutine.
 *
 * A coroutine that waits can be closed by another task. Its wait then ends as if cancelled, but
 * yields instead of raising (task_raise), so that no pcall inside can delay it; the resume function
 * here that sees this yield closes the coroutine and fails. A task that is stopped for good
 * (loop/interrupt.c) ends in the same way, coroutine by coroutine.
 */
#include "task/task.h"

#include <lauxlib.h>
#include <lualib.h>

#include "task/coroutine_pool.h"
#include "task/hook.h"

static bool in_runtime(lua_State *co) {
    return *co_marks(co) & CO_IN_RUNTIME;
}

static void set_in_runtime(lua_State *co, bool on) {
    *co_marks(co) = (*co_marks(co) & ~CO_IN_RUNTIME) | (on ? CO_IN_RUNTIME : 0);
}

/* The task that waits in this very coroutine, or NULL. A coroutine suspended by the runtime has
 * yielded one value: its task, or NULL if the task waits in a coroutine that this one has
 * resumed. */
static struct task *waiting_in(lua_State *co) {
    bool waits = (*co_marks(co) & (CO_IN_RUNTIME | CO_TASK)) == CO_IN_RUNTIME;
    return waits && lua_islightuserdata(co, -1) ? lua_touserdata(co, -1) : NULL;
}

static void go_on(lua_State *co) {
    set_in_runtime(co, false);
    lua_pop(co, 1);
}

static bool is_task(const lua_State *L) {
    return scheduler.current != NULL && scheduler.current->co == L;
}

static lua_State *check_coroutine(lua_State *L) {
    lua_State *co = lua_tothread(L, 1);
    if (co == NULL) {
        luaL_typeerror(L, 1, "thread");
    }
    return co;
}

/* ---- status ---- */

static const char *status_of(lua_State *L, lua_State *co) {
    lua_Debug frame;
    if (co == L) {
        return "running";
    }
    if (in_runtime(co)) {
        return "normal";
    }
    switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK:
        if (lua_getstack(co, 0, &frame)) {
            return "normal";
        }
        return lua_gettop(co) == 0 ? "dead" : "suspended";
    default: return "dead";
    }
}

static int co_status(lua_State *L) {
    lua_pushstring(L, status_of(L, check_coroutine(L)));
    return 1;
}

static int co_running(lua_State *L) {
    int main = lua_pushthread(L);
    *co_marks(L) |= CO_SEEN;
    lua_pushboolean(L, main || is_task(L));
    return 2;
}

static int co_isyieldable(lua_State *L) {
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(co) && !is_task(co));
    return 1;
}

/* Closes co. Its `<close>` variables run in co, where a hook can stop them like any other code. */
static int reset(lua_State *L, lua_State *co) {
    scope_forget(co);
    hook_running(co);
    int status = lua_resetthread(co);
    hook_running(L);
    return status;
}

/* ---- resume ---- */

static int refuse(lua_State *L, const char *message) {
    lua_pushstring(L, message);
    return -1;
}

/* The task is being stopped, and the coroutine that L resumed is closed: close L in the same
 * way. */
static int stop(lua_State *L) {
    if (lua_isyieldable(L)) {
        return lua_yield(L, 0);
    }
    task_push_cancelled_value(L);
    return lua_error(L);
}

/* co has yielded to be closed: another task closes it, or its own task is being stopped. */
static int close_yielded(lua_State *L, lua_State *co) {
    scheduler.current->closing = false;
    int status = reset(L, co);
    if (scheduler.stopping) {
        return stop(L);
    }
    if (status == LUA_OK) {
        return refuse(L, "cannot resume dead coroutine");
    }
    lua_xmove(co, L, 1);
    return -1;
}

/* The task waits inside co: suspends L as well, which goes on in `k`. */
static int wait_inside(lua_State *L, lua_State *co, lua_KFunction k) {
    set_in_runtime(co, true);
    if (!is_task(L)) {
        lua_pushlightuserdata(L, NULL); /* the task does not wait in L itself */
    }
    return lua_yieldk(L, is_task(L) ? 0 : 1, (lua_KContext)co, k);
}

/* Moves `nargs` values from L to co and resumes it. Results are moved back to L: their number, or
 * -1 with the error on top. A wait inside co suspends L as well, which then goes on in `k`. */
static int resume(lua_State *L, lua_State *co, int nargs, lua_KFunction k) {
    int nresults;
    lua_Debug frame;
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0 && !lua_getstack(co, 0, &frame)) {
        return refuse(L, "cannot resume dead coroutine");
    }
    if (!lua_checkstack(co, nargs)) {
        return refuse(L, "too many arguments to resume");
    }
    lua_xmove(L, co, nargs);
    bool pinned = scheduler.pinned;
    scheduler.pinned = pinned || !lua_isyieldable(L);
    hook_running(co);
    struct scope *around = scope_enter(co, scheduler.scope);
    int status = lua_resume(co, L, nargs, &nresults);
    scope_leave(around);
    hook_running(L);
    scheduler.pinned = pinned;
    if (status == LUA_YIELD && scheduler.parking) {
        return wait_inside(L, co, k);
    }
    scope_detach(co);
    const struct task *task = scheduler.current;
    if (status == LUA_YIELD && task != NULL && (task->closing || scheduler.stopping)) {
        return close_yielded(L, co);
    }
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, nresults + 1)) {
        lua_pop(co, nresults);
        return refuse(L, "too many results to resume");
    }
    lua_xmove(co, L, nresults);
    return nresults;
}

static int resumable(lua_State *L, lua_State *co) {
    if (in_runtime(co) || is_task(co)) {
        return refuse(L, "cannot resume non-suspended coroutine");
    }
    return 0;
}

static int resume_ended(lua_State *L, int n) {
    lua_pushboolean(L, n >= 0);
    lua_insert(L, n >= 0 ? -(n + 1) : -2);
    return n >= 0 ? n + 1 : 2;
}

static int resume_again(lua_State *L, int status, lua_KContext ctx) {
    lua_State *co = (lua_State *)ctx;
    (void)status;
    go_on(co);
    return resume_ended(L, resume(L, co, 0, resume_again));
}

static int co_resume(lua_State *L) {
    lua_State *co = check_coroutine(L);
    if (resumable(L, co) < 0) {
        return resume_ended(L, -1);
    }
    return resume_ended(L, resume(L, co, lua_gettop(L) - 1, resume_again));
}

/* ---- wrap ---- */

/* An error in a wrapped coroutine closes it, gets the caller's position, and is raised there. */
static int wrap_ended(lua_State *L, lua_State *co, int n) {
    if (n >= 0) {
        return n;
    }
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pop(L, 1);
        lua_pushvalue(L, lua_upvalueindex(1));
        status = reset(L, co);
        lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx) {
    lua_State *co = (lua_State *)ctx;
    (void)status;
    go_on(co);
    return wrap_ended(L, co, resume(L, co, 0, wrap_again));
}

static int wrap_call(lua_State *L) {
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    if (resumable(L, co) < 0) {
        return wrap_ended(L, co, -1);
    }
    return wrap_ended(L, co, resume(L, co, lua_gettop(L), wrap_again));
}

static int co_create(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int co_wrap(lua_State *L) {
    co_create(L);
    lua_pushcclosure(L, wrap_call, 1);
    return 1;
}

/* ---- yield and close ---- */

static int co_yield(lua_State *L) {
    if (is_task(L)) {
        lua_pushliteral(L, "attempt to yield from outside a coroutine");
        return lua_error(L); /* no position, as in Lua */
    }
    return lua_yield(L, lua_gettop(L));
}

static int co_close(lua_State *L);

static int close_again(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    return task_resumed() == WAKE_CANCELLED ? task_raise(L) : co_close(L);
}

/* close(co) -> true | false, error. If co waits, an error in closing it is raised where co was
 * resumed, and close returns true. */
static int co_close(lua_State *L) {
    lua_State *co = check_coroutine(L);
    const char *status = status_of(L, co);
    struct task *task = task_can_wait(L) ? waiting_in(co) : NULL;
    if (task != NULL) {
        task_prepare(L, "coroutine.close");
        task->closing = true;
        task_wake(task, WAKE_CANCELLED);
        return task_give_way(L, 0, close_again); /* it has its turn first */
    }
    if (*status != 'd' && *status != 's') {
        return luaL_error(L, "cannot close a %s coroutine", status);
    }
    if (reset(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

void coroutine_install(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"create", co_create}, {"resume", co_resume},   {"wrap", co_wrap},
        {"status", co_status}, {"close", co_close},     {"isyieldable", co_isyieldable},
        {"yield", co_yield},   {"running", co_running}, {NULL, NULL},
    };
    lua_getglobal(L, LUA_COLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
