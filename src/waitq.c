/* SPDX-License-Identifier: MIT
 *
 * Queues of waiting tasks: see waitq.h. A place belongs to the waiting task, which leaves it in its
 * continuation and not before; a wake-up only takes it out of the line. Leaving those who were woken
 * in line was rejected: each further wake-up had to pass over them, which is N * N for N of them.
 */
#include "waitq.h"

#include <assert.h>

#include "task.h"

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

static struct interest *place_at(struct list_link *link) {
    return LIST_ITEM(link, struct interest, link);
}

bool waitq_wake_first(struct waitq *queue, enum wake why) {
    for (struct list_link *l = queue->line.first; l != NULL; l = l->next) {
        const struct interest *i = place_at(l);
        if (!i->end_only && task_wake(i->task, why)) {
            return true;
        }
    }
    return false;
}

/* Waking a task takes all its places out of their lines, so the first is another one each time. */
void waitq_wake_all(struct waitq *queue, enum wake why) {
    while (queue->line.first != NULL) {
        bool woken = task_wake(place_at(queue->line.first)->task, why);
        assert(woken);
        (void)woken;
    }
}
