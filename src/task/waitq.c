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

static struct interest *interest_at(struct list_link *link) {
    return LIST_ITEM(link, struct interest, link);
}

bool waitq_wake_first(struct waitq *queue, enum wake why) {
    for (struct list_link *l = queue->line.first; l != NULL; l = l->next) {
        const struct interest *i = interest_at(l);
        if (!i->end_only && task_wake(i->task, why)) {
            return true;
        }
    }
    return false;
}

/* task_wake takes all interests of the task out of their lines, so the loop advances. */
void waitq_wake_all(struct waitq *queue, enum wake why) {
    while (queue->line.first != NULL) {
        bool woken = task_wake(interest_at(queue->line.first)->task, why);
        assert(woken);
        (void)woken;
    }
}
