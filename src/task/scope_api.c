/* SPDX-License-Identifier: MIT
 *
 * The Lua side of scopes: scope.run and scope.open, and the methods of the object that both make.
 * lua/lariat builds timeout, deadline, shield and groups from them.
 *
 * Invariant: a scope that can have tasks (a group) keeps the scopes around it, which still affect
 * those tasks after its coroutine has gone. A timeout has no tasks of its own, and keeps nothing.
 */
#include "task/scope.h"

#include <lauxlib.h>

#include "base/clock.h"
#include "base/state.h"
#include "task/task.h"

#define SCOPE_TYPE "lariat.scope"

/* A scope that can have tasks, which are its members. */
struct group {
    struct scope scope; /* first: its timer is the first member of that */
    struct service members;
    bool lost; /* a member has failed before it could say so: see member_ended */
};

/* Of a group. */
enum { OUTER_SCOPES = 1, LOST_ERROR, GROUP_USER_VALUES = LOST_ERROR };

/* ---- scope.run ---- */

enum { SCOPE = 1, HANDLER }; /* the stack of run() while the body runs */

static const char opened_key; /* registry key: table of coroutine (weak) -> its open() scopes */

static struct scope *push_scope(lua_State *L, uint64_t due, bool shield) {
    struct scope *scope = lua_newuserdatauv(L, sizeof(*scope), 0);
    scope_init(L, scope, due, shield);
    return scope;
}

static struct group *group_of(struct service *members) {
    return (struct group *)((char *)members - offsetof(struct group, members));
}

/* A member has ended that has not left: there was no memory to begin, or to tell of its error. The
 * group keeps the first such error, and is cancelled. Nothing here takes memory. */
static void member_ended(struct task *task) {
    struct group *group = group_of(task->service);
    if (task->record.outcome != TASK_FAILED) {
        return;
    }
    if (!group->lost) {
        lua_State *L = rt.L;
        group->lost = true;
        task_push(L, task); /* it has a handle */
        lua_getiuservalue(L, -1, TASK_SCOPE);
        lua_pushvalue(task->co, -1);
        lua_xmove(task->co, L, 1);
        lua_setiuservalue(L, -2, LOST_ERROR);
        lua_pop(L, 2);
    }
    scope_cancel(&group->scope);
}

static struct scope *push_group(lua_State *L, uint64_t due, bool shield) {
    struct group *group = lua_newuserdatauv(L, sizeof(*group), GROUP_USER_VALUES);
    scope_init(L, &group->scope, due, shield);
    group->members = (struct service){.ended = member_ended, .raises = true, .what = "group"};
    group->lost = false;
    luaL_setmetatable(L, SCOPE_TYPE);
    return &group->scope;
}

static int run(lua_State *L);

/* For a scope, on top, whose tasks may outlive the calls of this coroutine: makes it keep the
 * scopes of those calls, and the scope in which the current task was spawned. */
static void keep_chain(lua_State *L) {
    int scope = lua_gettop(L), n = 0;
    lua_Debug frame;
    lua_newtable(L);
    for (int level = 1; scope_has_own(L) && lua_getstack(L, level, &frame); level++) {
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
    task_push(L, scheduler.current);
    lua_getiuservalue(L, -1, TASK_SCOPE);
    lua_rawseti(L, scope + 1, ++n);
    lua_pop(L, 1);
    lua_setiuservalue(L, scope, OUTER_SCOPES);
}

/* Sets or clears opened[coroutine][scope], scope on top; it keeps a scope that is never closed. */
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

static int ended(lua_State *L, int status, lua_KContext ctx) {
    struct scope *scope = (struct scope *)ctx;
    scope_end(L, scope);
    if (status == LUA_OK || status == LUA_YIELD) {
        return lua_gettop(L) - HANDLER;
    }
    /* Swallow the cancellation only if this scope caused it and no outer scope wants it too. A
     * shield ignores outer scopes. */
    bool mine = scope->cancelled && task_is_cancelled_value(L, -1);
    if (!mine || (!scope->shield && scope_must_raise())) {
        return lua_error(L);
    }
    lua_pushnil(L);
    lua_pushstring(L, scope->expired ? "deadline" : "cancelled");
    return 2;
}

/* run(due, shield, pass, f, ...): calls f(...), or f(scope, ...) if `pass`, inside a new scope with
 * the deadline `due` (seconds as of task.now(); nil: none). Returns what f returns; or nil,
 * "deadline" or nil, "cancelled" if this scope ended the call. */
static int run(lua_State *L) {
    double due = luaL_optnumber(L, 1, -1);
    bool shield = lua_toboolean(L, 2);
    bool pass = lua_toboolean(L, 3);
    luaL_checktype(L, 4, LUA_TFUNCTION);
    luaL_argcheck(L, scheduler.current != NULL && rt.running == L, 4, "not in a task");
    uint64_t end = due < 0 || due > 1e9 ? NEVER : (uint64_t)(due * 1e9);
    struct scope *scope = pass ? push_group(L, end, shield) : push_scope(L, end, shield);
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
    scope_begin(L, scope);
    int nargs = lua_gettop(L) - HANDLER - 1;
    int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, (lua_KContext)scope, ended);
    return ended(L, status, (lua_KContext)scope);
}

/* open() -> scope around all that the caller does until scope:close(); for `<close>` variables */
static int open_scope(lua_State *L) {
    luaL_argcheck(L, scheduler.current != NULL && rt.running == L, 1, "not in a task");
    struct scope *scope = push_group(L, NEVER, false);
    keep_chain(L);
    keep_open(L, true);
    scope_begin(L, scope);
    return 1;
}

/* ---- methods ---- */

/* close(): ends a scope of open(); scopes may be closed in any order */
static int method_close(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    scope_take_out(L, scope);
    lua_settop(L, 1);
    keep_open(L, false);
    return 0;
}

/* cancel() -> whether this has cancelled it: every wait inside raises from now on */
static int method_cancel(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    bool news = !scope->cancelled && !scope->ended;
    if (news) {
        scope_cancel(scope);
    }
    lua_pushboolean(L, news);
    return 1;
}

static int method_cancelled(lua_State *L) {
    struct scope *scope = luaL_checkudata(L, 1, SCOPE_TYPE);
    lua_pushboolean(L, scope->cancelled);
    return 1;
}

/* The location of the first Lua function of the script's among the values from `index` on. */
static struct location script_function(lua_State *L, int index) {
    struct location p = {0, 0};
    for (int top = lua_gettop(L); index <= top && p.file == 0; index++) {
        if (lua_isfunction(L, index)) {
            p = location_of_function(L, index);
        }
    }
    return p;
}

/* spawn(name, f, ...) -> task, whose waits are inside this scope; its error is not reported */
static int method_spawn(lua_State *L) {
    struct group *group = luaL_checkudata(L, 1, SCOPE_TYPE);
    const char *name = luaL_optstring(L, 2, NULL);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    if (group->scope.ended) {
        return luaL_error(L, "the group has ended: it takes no more tasks");
    }
    struct location body = script_function(L, 3);
    struct task *task = task_spawn(L, lua_gettop(L) - 3, name);
    task_runs(task, body);
    task->record.quiet = true;
    task->base = &group->scope;
    service_join(&group->members, task);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, TASK_SCOPE);
    return 1;
}

/* leave(): the current task, which has said how its body ended, is a member no longer */
static int method_leave(lua_State *L) {
    luaL_checkudata(L, 1, SCOPE_TYPE);
    service_leave(scheduler.current);
    return 0;
}

/* wait(): until there are no members */
static int method_wait(lua_State *L) {
    struct group *group = luaL_checkudata(L, 1, SCOPE_TYPE);
    return service_wait(L, &group->members, 1);
}

/* lost() -> whether a member has failed that could not say so, and its error */
static int method_lost(lua_State *L) {
    const struct group *group = luaL_checkudata(L, 1, SCOPE_TYPE);
    lua_pushboolean(L, group->lost);
    lua_getiuservalue(L, 1, LOST_ERROR);
    return 2;
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
    static const luaL_Reg methods[] = {{"cancel", method_cancel}, {"cancelled", method_cancelled},
                                       {"spawn", method_spawn},   {"leave", method_leave},
                                       {"wait", method_wait},     {"lost", method_lost},
                                       {"close", method_close},   {NULL, NULL}};
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
