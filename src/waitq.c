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
    struct interest *first = queue->first;
    assert(interest->queue == NULL);
    interest->task = task;
    interest->queue = queue;
    interest->prev = first != NULL ? first->prev : interest;
    interest->next = front ? first : NULL;
    if (first != NULL && !front) {
        first->prev->next = interest;
    }
    if (first != NULL) {
        first->prev = interest;
    }
    queue->first = first == NULL || front ? interest : first;
}

void waitq_leave(struct interest *interest) {
    struct waitq *queue = interest->queue;
    if (queue == NULL) {
        return;
    }
    *(queue->first == interest ? &queue->first : &interest->prev->next) = interest->next;
    if (queue->first != NULL) {
        (interest->next != NULL ? interest->next : queue->first)->prev = interest->prev;
    }
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
