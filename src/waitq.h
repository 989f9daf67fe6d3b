/* SPDX-License-Identifier: MIT
 *
 * Queues of waiting tasks. A queue belongs to what is waited for; a task that waits has a place in
 * one or several of them, see waitq.c.
 */
#ifndef LARIAT_WAITQ_H
#define LARIAT_WAITQ_H

#include <stdbool.h>
#include <stddef.h>

struct task;

enum __attribute__((packed)) wake { WAKE_READY, WAKE_DEADLINE, WAKE_CANCELLED, WAKE_CLOSED };

/* One task's place in one queue of waiters. */
struct interest {
    struct task *task;
    struct waitq *queue; /* NULL: not in any */
    struct interest *prev, *next;
    bool exclusive; /* an operation that others may not interleave with */
    bool end_only;  /* it waits for the object's end, not for its readiness */
};

struct waitq {
    struct interest *first; /* whose prev is the last one */
};

void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front);
void waitq_leave(struct interest *interest);
bool waitq_wake_first(struct waitq *queue, enum wake why); /* in order; false: nobody waits */
void waitq_wake_all(struct waitq *queue, enum wake why);
bool waitq_find_exclusive(const struct waitq *queue);

static inline bool waitq_has_exclusive(const struct waitq *queue) {
    return queue->first != NULL && waitq_find_exclusive(queue);
}

#endif
