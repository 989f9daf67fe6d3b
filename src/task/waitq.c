/* SPDX-License-Identifier: MIT
 *
 * Wait queues. An interest belongs to the waiting task, which leaves the queue in its continuation
 * and not before; a wake-up only takes the interest out of the line. Leaving woken tasks in line
 * was rejected: each further wake-up had to skip them, which is N * N steps for N tasks.
 */
#include "task/waitq.h"

#include <assert.h>

#include "task/task.h"

static inline void count(struct waitq *queue, struct interest *interest, struct task *task) {
    assert(interest->queue == NULL);
    interest->task = task;
    interest->queue = queue;
    queue->claims += interest->claim;
}

void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front) {
    count(queue, interest, task);
    if (front) {
        list_prepend(&queue->line, &interest->link);
    } else {
        list_append(&queue->line, &interest->link);
    }
}

void waitq_hold(struct waitq *queue, struct interest *interest, struct task *task) {
    interest->stays = true;
    interest->link.prev = NULL;
    count(queue, interest, task);
    queue->woken++;
}

void waitq_join_line(struct list *line, struct interest *interest, struct task *task) {
    assert(interest->queue == NULL && interest->claim == 0 && !interest->stays);
    interest->task = task;
    interest->queue = (struct waitq *)line; /* of which only the first member is looked at */
    list_append(line, &interest->link);
}

/* Waking a task takes all its places out of their lines, so the first is another one each time. */
static void wake(struct list_link *first, enum wake why) {
    bool woken = task_wake(LIST_ITEM(first, struct interest, link)->task, why);
    assert(woken);
    (void)woken;
}

bool waitq_wake_first(struct waitq *queue, enum wake why) {
    if (list_is_empty(&queue->line)) {
        return false;
    }
    wake(queue->line.first, why);
    return true;
}

void waitq_wake_line(struct list *line, enum wake why) {
    while (!list_is_empty(line)) {
        wake(line->first, why);
    }
}

void waitq_wake_all(struct waitq *queue, enum wake why) {
    waitq_wake_line(&queue->line, why);
}
