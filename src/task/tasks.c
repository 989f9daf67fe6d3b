/* SPDX-License-Identifier: MIT
 *
 * The scheduler's state, and the list of all tasks that have not ended: `scheduler.all`, the newest
 * first, except that the members of a service follow each other (service.c).
 */
#include "task/task.h"

#include "base/state.h"
#include "base/world.h"

struct scheduler scheduler;

void tasks_insert(struct task **link, struct task *before, struct task *task) {
    task->all_prev = before;
    task->all_next = *link;
    if (*link != NULL) {
        (*link)->all_prev = task;
    }
    *link = task;
}

void tasks_take_out(struct task *task) {
    *(task->all_prev ? &task->all_prev->all_next : &scheduler.all) = task->all_next;
    if (task->all_next != NULL) {
        task->all_next->all_prev = task->all_prev;
    }
    task->all_prev = task->all_next = NULL;
}

void tasks_add(struct task *task) {
    tasks_insert(&scheduler.all, NULL, task);
    scheduler.live++;
    if (rt.world != NULL) {
        rt.world->task_began(task);
    }
}

void tasks_remove(struct task *task) {
    tasks_take_out(task);
    scheduler.live--;
    if (rt.world != NULL) {
        rt.world->task_ended(task);
    }
}
