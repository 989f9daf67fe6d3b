/* SPDX-License-Identifier: MIT
 *
 * Tasks that are counted: see service.h. Members lie together in the list of all tasks (tasks.c). A
 * list of members of its own was rejected: sixteen bytes of every idle connection.
 */
#include "task/service.h"

#include "base/state.h"
#include "base/world.h"
#include "task/task.h"

/* ---- members ---- */

/* A member has ended. */
static void finished(struct task *task) {
    task->service->ended(task);
    service_leave(task);
}

void service_join(struct service *service, struct task *task) {
    struct task *newest = service->newest;
    if (newest != NULL) {
        tasks_take_out(task);
        struct task *before = newest->all_prev;
        tasks_insert(before != NULL ? &before->all_next : &scheduler.all, before, task);
    }
    service->newest = task;
    service->members++;
    task->service = service;
    service->finished = finished;
}

/* It goes behind all others, where it lies between no two members of its service. */
void service_leave(struct task *task) {
    struct service *service = task->service;
    if (service == NULL) {
        return;
    }
    struct task *next = task->all_next;
    if (service->newest == task) {
        service->newest = next != NULL && next->service == service ? next : NULL;
    }
    task->service = NULL;
    service->members--;
    if (service->newest != NULL) {
        tasks_take_out(task);
        struct task *first = service->newest, *before = first->all_prev;
        tasks_insert(before != NULL ? &before->all_next : &scheduler.all, before, task);
    }
    if (service->members < service->limit) {
        service->limit = 0;
        waitq_wake_all(&service->waiting, WAKE_READY);
    }
}

void service_cancel(struct service *service) {
    struct task *next;
    for (struct task *t = service->newest; t != NULL && t->service == service; t = next) {
        next = t->all_next;
        task_cancel(t);
    }
}

/* ---- waiting ---- */

enum { LIMIT = 2 }; /* on the stack of a call, whose service is in `ctx` and kept by index 1 */

static int wait_below(lua_State *L, int status, lua_KContext ctx) {
    struct service *service = (struct service *)ctx;
    if (status == LUA_YIELD && task_resumed() == WAKE_CANCELLED) {
        return task_raise(L);
    }
    lua_Integer limit = lua_tointeger(L, LIMIT);
    if (service->members < limit) {
        return 0;
    }
    task_prepare(L, service->what);
    service->limit = limit > service->limit ? limit : service->limit;
    struct task *task = scheduler.current;
    waitq_join(&service->waiting, &task->interest, task, false);
    return task_park(L, service->what, NEVER, false, ctx, wait_below);
}

int service_wait(lua_State *L, struct service *service, lua_Integer limit) {
    lua_settop(L, 1);
    lua_pushinteger(L, limit);
    return wait_below(L, LUA_OK, (lua_KContext)service);
}
