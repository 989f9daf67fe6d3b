/* SPDX-License-Identifier: MIT
 *
 * Task objects: the userdata by which scripts refer to a task. Most tasks of a server are never
 * referred to, so the object is made at the first request: 100 bytes less per idle connection.
 *
 * Invariant: as long as the task lives, its anchor in the registry keeps the object, so each
 * request gets the same one, and the object keeps the coroutine. When the task ends its record is
 * copied into the object; the results stay on the coroutine's stack. Tasks that join are queued in
 * the object, not in the task: they leave the queue only when they run again, after the task has
 * gone.
 */
#include "task/task.h"

#include <lauxlib.h>

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

/* Pushes an object that has no task yet. All steps that can fail are here. */
void task_new_object(lua_State *L) {
    struct task_object *object = lua_newuserdatauv(L, sizeof(*object), TASK_USER_VALUES);
    *object = (struct task_object){0};
    luaL_setmetatable(L, TASK_TYPE);
}

/* Makes the object on top the task's. */
void task_give_object(lua_State *L, struct task *task) {
    struct task_object *object = lua_touserdata(L, -1);
    object->task = task;
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
    struct task_object *object = lua_touserdata(L, -1); /* NULL: a coroutine */
    lua_pop(L, 1);
    return object;
}

/* ---- finding ---- */

struct task_object *task_check(lua_State *L, int index) {
    return index == 1 ? location_check_self(L, TASK_TYPE) : luaL_checkudata(L, index, TASK_TYPE);
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

struct task_record *task_record(struct task_object *object) {
    return object->task != NULL ? &object->task->record : &object->last_record;
}

lua_State *task_thread(lua_State *L, int object) {
    lua_getiuservalue(L, object, TASK_THREAD);
    lua_State *co = lua_tothread(L, -1);
    lua_pop(L, 1);
    return co;
}

/* Pushes the name that was given to it, or the line where its function begins or that spawned
 * it. */
void task_push_name_of(lua_State *L, int object) {
    if (lua_getiuservalue(L, object, TASK_NAME) == LUA_TNIL) {
        const struct spawn_trace *trace =
            spawn_trace_of(task_record(lua_touserdata(L, object))->spawn_trace);
        lua_pop(L, 1);
        location_push(L, trace->body.file != 0 ? trace->body : trace->lines[0]);
    }
}

void task_push_name(lua_State *L, struct task *task) {
    task_push(L, task);
    task_push_name_of(L, lua_gettop(L));
    lua_remove(L, -2);
}

/* ---- the end ---- */

bool task_leave_object(lua_State *L, struct task *task) {
    struct task_object *object = task_object(L, task);
    if (object != NULL) {
        object->last_record = task->record;
        object->task = NULL;
        waitq_wake_all(&object->joiners, WAKE_READY);
    }
    return object != NULL;
}
