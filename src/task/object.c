/* SPDX-License-Identifier: MIT
 *
 * What scripts hold of a task. Most tasks of a server are never asked for, so a task has a handle
 * only once somebody asks: 100 bytes less of every idle connection.
 *
 * Invariant: as long as the task lives, its anchor in the registry keeps the handle, so that it is
 * the same one however often it is asked for, and the handle keeps the coroutine. When the task
 * ends its fate moves into the handle; the results stay on the coroutine's stack. Who waits for the
 * end is queued in the handle, since such a place is left only when the waiting task runs again.
 */
#include <lauxlib.h>

#include "task/task.h"
#include "base/state.h"

void task_objects_open(lua_State *L, const luaL_Reg *methods) {
    luaL_newmetatable(L, TASK_TYPE);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    for (const luaL_Reg *m = methods; m->name != NULL; m++) {
        if (m->name[0] == '_') {
            lua_pushcfunction(L, m->func);
            lua_setfield(L, -2, m->name);
        }
    }
    lua_pop(L, 1);
}

/* ---- making ---- */

/* Pushes a handle of no task yet: all that can fail. */
void task_new_object(lua_State *L) {
    struct task_object *handle = lua_newuserdatauv(L, sizeof(*handle), TASK_USER_VALUES);
    *handle = (struct task_object){0};
    luaL_setmetatable(L, TASK_TYPE);
}

/* The handle on top is the task's from now on. */
void task_give_object(lua_State *L, struct task *task) {
    struct task_object *handle = lua_touserdata(L, -1);
    handle->task = task;
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->anchor);
    lua_setiuservalue(L, -2, TASK_THREAD);
    lua_pushvalue(L, -1);
    lua_rawseti(L, LUA_REGISTRYINDEX, task->anchor);
}

void task_push(lua_State *L, struct task *task) {
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, task->anchor) != LUA_TUSERDATA) {
        lua_pop(L, 1);
        task_new_object(L);
        if (task->service != NULL && task->service->push_name != NULL) {
            task->service->push_name(L, task->service);
            lua_setiuservalue(L, -2, TASK_NAME);
        }
        task_give_object(L, task);
    }
}

struct task_object *task_object(lua_State *L, const struct task *task) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, task->anchor);
    struct task_object *handle = lua_touserdata(L, -1); /* NULL: a coroutine */
    lua_pop(L, 1);
    return handle;
}

/* ---- looking ---- */

struct task_object *task_check(lua_State *L, int index) {
    return index == 1 ? place_check_self(L, TASK_TYPE) : luaL_checkudata(L, index, TASK_TYPE);
}

struct task *task_referenced(int reference) {
    if (reference == LUA_NOREF) {
        return NULL;
    }
    lua_rawgeti(rt.L, LUA_REGISTRYINDEX, reference);
    struct task *task = ((struct task_object *)lua_touserdata(rt.L, -1))->task;
    lua_pop(rt.L, 1);
    return task;
}

struct task_record *task_record(struct task_object *handle) {
    return handle->task != NULL ? &handle->task->record : &handle->last_record;
}

lua_State *task_thread(lua_State *L, int handle) {
    lua_getiuservalue(L, handle, TASK_THREAD);
    lua_State *co = lua_tothread(L, -1);
    lua_pop(L, 1);
    return co;
}

/* The name it was given, or the line where its function begins, or the line that spawned it. */
void task_push_name_of(lua_State *L, int handle) {
    if (lua_getiuservalue(L, handle, TASK_NAME) == LUA_TNIL) {
        const struct spawn_trace *origin =
            spawn_trace_of(task_record(lua_touserdata(L, handle))->spawn_trace);
        lua_pop(L, 1);
        location_push(L, origin->body.file != 0 ? origin->body : origin->lines[0]);
    }
}

void task_push_name(lua_State *L, struct task *task) {
    task_push(L, task);
    task_push_name_of(L, lua_gettop(L));
    lua_remove(L, -2);
}

/* ---- the end ---- */

bool task_leave_object(lua_State *L, struct task *task) {
    struct task_object *handle = task_object(L, task);
    if (handle != NULL) {
        handle->last_record = task->record;
        handle->task = NULL;
        waitq_wake_all(&handle->joiners, WAKE_READY);
    }
    return handle != NULL;
}
