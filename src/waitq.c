/* SPDX-License-Identifier: MIT
 *
 * Queues of waiting tasks, in the order they came. A queue belongs to what is waited for; a place
 * in it belongs to the waiting task, which leaves it in its continuation and not before. So waking
 * never changes a queue, and whoever wakes may go on walking through it.
 */
#include "waitq.h"

#include <assert.h>

#include "task.h"

void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front) {
    assert(interest->queue == NULL);
    interest->task = task;
    interest->queue = queue;
    interest->prev = front ? NULL : queue->last;
    interest->next = front ? queue->first : NULL;
    *(interest->prev ? &interest->prev->next : &queue->first) = interest;
    *(interest->next ? &interest->next->prev : &queue->last) = interest;
}

void waitq_leave(struct interest *interest) {
    struct waitq *queue = interest->queue;
    if (queue == NULL) {
        return;
    }
    *(interest->prev ? &interest->prev->next : &queue->first) = interest->next;
    *(interest->next ? &interest->next->prev : &queue->last) = interest->prev;
    interest->queue = NULL;
}

bool waitq_wake_first(struct waitq *queue, enum wake why) {
    for (struct interest *i = queue->first; i != NULL; i = i->next) {
        if (!i->end_only && task_wake(i->task, why)) {
            return true;
        }
    }
    return false;
}

void waitq_wake_all(struct waitq *queue, enum wake why) {
    for (struct interest *i = queue->first; i != NULL; i = i->next) {
        task_wake(i->task, why);
    }
}

bool waitq_find_exclusive(const struct waitq *queue) {
    for (const struct interest *i = queue->first; i != NULL; i = i->next) {
        if (i->exclusive) {
            return true;
        }
    }
    return false;
}
