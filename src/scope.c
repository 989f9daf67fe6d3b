/* SPDX-License-Identifier: MIT
 *
 * Scopes. A scope is a call: scope.run(options, f, ...) runs f inside it. A deadline or a
 * cancellation belongs to a scope: every wait inside raises task.cancelled, again and again, until
 * control has left the scope, which alone turns it into a result. So a library that swallows the
 * error in a pcall meets it again at its next wait, and code outside never sees it.
 *
 * Scopes form a chain from the innermost (rt.tasks.scope) outwards: those of the running coroutine,
 * then those of the coroutine that resumed it, and so on, then the scope its task was spawned in. A
 * coroutine takes its own scopes along when it is suspended: its consumer never feels them.
 *
 * Invariant: whoever has a pointer to a scope keeps it alive. Its userdata is on the stack of the
 * call that made it, or in the table of open ones with the coroutine that opened it; tasks spawned
 * in it keep it; and one that can have tasks keeps those further out. Who resumes a coroutine is not
 * kept: that link is cut when the coroutine gives control back.
 *
 * The lists of what waits inside reach only scopes that live: a task that waits keeps those around it,
 * and one with nothing inside is in no list. Only the timer of such a one may still be in the heap; it
 * is removed when its coroutine stops running, after which the collector may take both.
 */
#include "scope.h"

#include <lauxlib.h>

#include "module.h"
#include "runtime.h"
#include "spare.h"
#include "task.h"

#define SCOPE_TYPE "lariat.scope"

/* ---- what waits inside ---- */

static bool nothing_inside(const struct scope *s) {
    return list_is_empty(&s->waits) && list_is_empty(&s->inner);
}

/* Something waits in a scope in which nothing did: its time matters, and those further out know. */
static void something_inside(struct scope *s) {
    for (;;) {
        struct scope *outer = s->shield ? NULL : s->outer;
        if (s->due != NEVER && !s->cancelled) {
            timer_set(&s->timer, s->due);
            s->source = true;
            s->simulated = rt.simulated;
            rt.tasks.sources++;
        }
        bool known = outer == NULL || !nothing_inside(outer);
        if (outer != NULL) {
            list_append(&outer->inner, &s->link);
        }
        if (known) {
            return;
        }
        s = outer;
    }
}

/* Its time does not matter any more. The heap may keep the timer of one that will be waited in again,
 * but not of one whose memory may go. */
static void stop_timer(struct scope *s) {
    struct scheduler *scheduler = rt.outer != NULL && !s->simulated ? rt.outer : &rt.tasks;
    scheduler->sources -= s->source;
    s->source = false;
    if (s->suspended) {
        timer_remove(&s->timer);
    } else {
        timer_clear(&s->timer);
    }
}

/* The last wait inside has gone, if it was the last. */
static void something_left(struct scope *s) {
    while (s != NULL && nothing_inside(s)) {
        struct scope *outer = list_has(&s->link) ? s->outer : NULL;
        stop_timer(s);
        if (outer != NULL) {
            list_remove(&outer->inner, &s->link);
        }
        s = outer;
    }
}

void scope_leave_waits(struct task *task) {
    list_remove(&task->scope->waits, &task->link);
    something_left(task->scope);
}

static void wake_inside(struct scope *s) {
    while (!nothing_inside(s)) {
        struct scope *innermost = s;
        while (list_is_empty(&innermost->waits)) {
            innermost = LIST_ITEM(innermost->inner.first, struct scope, link);
        }
        task_wake(LIST_ITEM(innermost->waits.first, struct task, link), WAKE_CANCELLED);
    }
}

static void cancel(struct scope *s) {
    s->cancelled = true;
    wake_inside(s);
}

/* Whoever finds out first, the timer or a wait that is about to begin: all waits inside end. */
static void expire(struct scope *s) {
    s->expired = true;
    cancel(s);
}

static void time_is_up(struct timer *timer) {
    expire((struct scope *)timer); /* the timer is its first member */
}

/* ---- the chain ---- */

bool scope_shields(const struct scope *innermost) {
    const struct scope *s = innermost;
    while (s != NULL && !s->shield) {
        s = s->outer;
    }
    return s != NULL;
}

static bool over(struct scope *s) {
    if (!s->cancelled && s->due != NEVER && s->due <= clock_now()) {
        expire(s);
    }
    return s->cancelled;
}

/* Does this scope, or one further out that it feels, end every wait? */
static bool ends_waits(struct scope *innermost) {
    struct scope *s = innermost;
    while (s != NULL && !over(s)) {
        s = s->shield ? NULL : s->outer;
    }
    return s != NULL;
}

bool scope_must_raise(void) {
    return ends_waits(rt.tasks.scope) ||
           (rt.tasks.current->cancel && !scope_shields(rt.tasks.scope));
}

/* A finalizer may have cancelled the scope after the wait was prepared. */
static bool is_cancelled(const struct scope *innermost) {
    const struct scope *s = innermost;
    while (s != NULL && !s->cancelled) {
        s = s->shield ? NULL : s->outer;
    }
    return s != NULL;
}

void scope_join(struct task *task) {
    bool first = nothing_inside(task->scope);
    list_append(&task->scope->waits, &task->link);
    if (first) {
        something_inside(task->scope);
    }
    if (is_cancelled(task->scope)) {
        task_wake(task, WAKE_CANCELLED);
    }
}

/* It lies within another one from now on, or in none. */
static void move_into(struct scope *s, struct scope *outer) {
    if (s->outer == outer) {
        return;
    }
    if (list_has(&s->link)) {
        list_remove(&s->outer->inner, &s->link);
        something_left(s->outer);
    }
    s->outer = outer;
    if (outer == NULL || s->shield || nothing_inside(s)) {
        return;
    }
    bool first = nothing_inside(outer);
    list_append(&outer->inner, &s->link);
    if (first) {
        something_inside(outer);
    }
    if (ends_waits(outer)) {
        wake_inside(s);
    }
}

/* ---- coroutines ---- */

/* A coroutine's own innermost scope. Its extra space also holds marks in its lowest bits. */
static struct scope *own_scopes(lua_State *co) {
    return (struct scope *)(*co_marks(co) & ~CO_MARKS);
}

static void set_own_scopes(lua_State *co, struct scope *scope) {
    *co_marks(co) = (uintptr_t)scope | (*co_marks(co) & CO_MARKS);
}

struct scope *scope_enter(lua_State *co, struct scope *around) {
    struct scope *outside = rt.tasks.scope;
    struct scope *own = own_scopes(co);
    rt.tasks.scope = own ? own : around;
    for (; own != NULL; own = own->below) {
        own->suspended = false;
        if (own->below == NULL) {
            move_into(own, around);
        }
    }
    return outside;
}

void scope_leave(struct scope *around) {
    rt.tasks.scope = around;
}

/* From now on nothing keeps the scope alive but the tasks inside it, which keep it while they wait. */
static void suspend(struct scope *s) {
    s->suspended = true;
    if (nothing_inside(s)) {
        timer_remove(&s->timer);
    }
}

void scope_detach(lua_State *co) {
    for (struct scope *s = own_scopes(co); s != NULL; s = s->below) {
        suspend(s);
        if (s->below == NULL) {
            move_into(s, NULL);
        }
    }
}

void scope_forget(lua_State *co) {
    scope_detach(co);
    set_own_scopes(co, NULL);
}

void scope_leave_task(struct task *task) {
    for (struct scope *s = task->scope; s != NULL && s != task->base;) {
        struct scope *outer = s->outer;
        suspend(s);
        if (s->below == NULL) {
            move_into(s, NULL);
        }
        s = outer;
    }
    task->scope = NULL;
}

/* ---- scope.run ---- */

enum { SCOPE = 1, HANDLER }; /* on the stack while the body runs */

static const char opened_key; /* of a table: coroutine (weak) -> the scopes it has open */

static struct scope *push_scope(lua_State *L, uint64_t due, bool shield) {
    struct scope *scope = lua_newuserdatauv(L, sizeof(*scope), 1);
    *scope = (struct scope){.timer = {.due = NEVER, .fire = time_is_up},
                            .outer = rt.tasks.scope,
                            .below = own_scopes(L),
                            .due = due,
                            .shield = shield};
    luaL_setmetatable(L, SCOPE_TYPE);
    return scope;
}

static int run(lua_State *L);

/* The scope on top is to have tasks, which may outlive this coroutine's calls: it keeps the scopes
 * around it that belong to those calls, and the one that the current task was spawned in. */
static void keep_chain(lua_State *L) {
    int scope = lua_gettop(L), n = 0;
    lua_Debug frame;
    lua_newtable(L);
    for (int level = 1; own_scopes(L) != NULL && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "f", &frame);
        if (lua_tocfunction(L, -1) == run && lua_getlocal(L, &frame, SCOPE) != NULL) {
            lua_rawseti(L, scope + 1, ++n);
        }
        lua_settop(L, scope + 1);
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &opened_key);
    lua_pushthread(L);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            lua_pushvalue(L, -2);
            lua_rawseti(L, scope + 1, ++n);
        }
    }
    lua_settop(L, scope + 1);
    task_push(L, rt.tasks.current);
    lua_getiuservalue(L, -1, TASK_SCOPE);
    lua_rawseti(L, scope + 1, ++n);
    lua_pop(L, 1);
    lua_setiuservalue(L, scope, 1);
}

/* Sets opened[coroutine][scope], with the scope on top: what keeps one that is never closed. */
static void keep_open(lua_State *L, bool on) {
    int scope = lua_gettop(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &opened_key);
    lua_pushthread(L);
    if (lua_rawget(L, -2) == LUA_TNIL && on) {
        lua_newtable(L);
        lua_pushthread(L);
        lua_pushvalue(L, -2);
        lua_rawset(L, scope + 1);
        lua_replace(L, scope + 2);
    }
    if (lua_istable(L, -1)) {
        lua_pushvalue(L, scope);
        if (on) {
            lua_pushboolean(L, 1);
        } else {
            lua_pushnil(L);
        }
        lua_rawset(L, -3);
    }
    lua_settop(L, scope);
}

/* Tasks may be left in it if an error or a closed coroutine cut its end short. They keep the scopes
 * around it that are its coroutine's, and no others. */
static void end_scope(lua_State *L, struct scope *scope) {
    scope->ended = true;
    suspend(scope);
    if (scope->below == NULL && L != rt.tasks.current->co) {
        move_into(scope, NULL);
    }
}

static int ended(lua_State *L, int status, lua_KContext ctx) {
    struct scope *scope = (struct scope *)ctx;
    set_own_scopes(L, scope->below);
    rt.tasks.scope = scope->outer;
    end_scope(L, scope);
    if (status == LUA_OK || status == LUA_YIELD) {
        return lua_gettop(L) - HANDLER;
    }
    /* A shield is asked by nobody but itself; else who is further out wants the error, too. */
    bool mine = scope->cancelled && task_is_cancelled_value(L, -1);
    if (!mine || (!scope->shield && scope_must_raise())) {
        return lua_error(L);
    }
    lua_pushnil(L);
    lua_pushstring(L, scope->expired ? "deadline" : "cancelled");
    return 2;
}

/* run(due, shield, pass, f, ...): f(...), or f(scope, ...) if `pass`, inside a new scope that ends
 * at `due` (task.now's seconds; nil: never). Returns what f returns; nil, "deadline" or nil,
 * "cancelled" if the scope itself was cancelled. */
static int run(lua_State *L) {
    double due = luaL_optnumber(L, 1, -1);
    bool shield = lua_toboolean(L, 2);
    bool pass = lua_toboolean(L, 3);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    luaL_argcheck(L, rt.tasks.current != NULL && rt.running == L, 4, "not in a task");
    struct scope *scope =
        push_scope(L, due < 0 || due > 1e9 ? NEVER : (uint64_t)(due * 1e9), shield);
    if (pass) {
        keep_chain(L);
    }
    lua_replace(L, SCOPE);
    lua_pushcfunction(L, task_keep_traceback);
    lua_replace(L, HANDLER);
    lua_remove(L, HANDLER + 1); /* `pass` */
    if (pass) {
        lua_pushvalue(L, SCOPE);
        lua_insert(L, HANDLER + 2);
    }
    set_own_scopes(L, scope);
    rt.tasks.scope = scope;
    int nargs = lua_gettop(L) - HANDLER - 1;
    int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, (lua_KContext)scope, ended);
    return ended(L, status, (lua_KContext)scope);
}

/* open(): a scope around what the caller does until close(), for `<close>` variables */
static int open_scope(lua_State *L) {
    luaL_argcheck(L, rt.tasks.current != NULL && rt.running == L, 1, "not in a task");
    struct scope *scope = push_scope(L, NEVER, false);
    keep_chain(L);
    keep_open(L, true);
    set_own_scopes(L, scope);
    rt.tasks.scope = scope;
    return 1;
}

/* ---- methods ---- */

/* close(): ends a scope that open() began, in whatever order they are closed */
static int method_close(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    struct scope *above = NULL;
    for (struct scope *s = own_scopes(L); s != NULL && s != scope; s = s->below) {
        above = s;
    }
    if (above != NULL && above->below == scope) {
        above->below = scope->below;
        move_into(above, scope->outer);
        end_scope(L, scope);
    } else if (own_scopes(L) == scope) {
        set_own_scopes(L, scope->below);
        rt.tasks.scope = rt.tasks.scope == scope ? scope->outer : rt.tasks.scope;
        end_scope(L, scope);
    }
    scope->ended = true;
    lua_settop(L, 1);
    keep_open(L, false);
    return 0;
}

/* cancel(): every wait inside raises from now on */
static int method_cancel(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    bool news = !scope->cancelled && !scope->ended;
    if (news) {
        cancel(scope);
    }
    lua_pushboolean(L, news);
    return 1;
}

static int method_cancelled(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    lua_pushboolean(L, scope->cancelled);
    return 1;
}

/* Of the functions from `index` on, the first that is the script's: it gives the task its name. */
static struct place script_function(lua_State *L, int index) {
    struct place p = {0, 0};
    for (int top = lua_gettop(L); index <= top && p.file == 0; index++) {
        if (lua_isfunction(L, index)) {
            p = place_of_function(L, index);
        }
    }
    return p;
}

/* spawn(name, f, ...): a task whose waits are inside this scope; its errors are the spawner's */
static int method_spawn(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    const char *name = luaL_optstring(L, 2, NULL);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    if (scope->ended) {
        return luaL_error(L, "the group has ended: it takes no more tasks");
    }
    struct place body = script_function(L, 3);
    struct task *task = task_spawn(L, lua_gettop(L) - 3, name);
    task_runs(task, body);
    task->fate.quiet = true;
    task->base = scope;
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, TASK_SCOPE);
    return 1;
}

static void make_opened_table(lua_State *L) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &opened_key);
}

int scope_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"cancel", method_cancel},
                                       {"cancelled", method_cancelled},
                                       {"spawn", method_spawn},
                                       {"close", method_close},
                                       {NULL, NULL}};
    static const luaL_Reg functions[] = {{"run", run}, {"open", open_scope}, {NULL, NULL}};
    if (luaL_newmetatable(L, SCOPE_TYPE)) {
        luaL_newlib(L, methods);
        lua_setfield(L, -2, "__index");
        make_opened_table(L);
    }
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
