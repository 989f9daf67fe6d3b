/* SPDX-License-Identifier: MIT
 *
 * Queues of waiting tasks. A queue belongs to what is waited for; a task that waits has a place in
 * one or several of them. Zeroed memory is an empty queue.
 *
 * A place is in line until its task is woken, whatever wakes it. One that `stays` is then still
 * counted until the task goes on: an operation keeps others from interleaving, and keeps the memory
 * of its socket. Any other is gone. So no call takes longer because many wait or have been woken:
 * each takes the time of the tasks that it wakes.
 */
#ifndef LARIAT_WAITQ_H
#define LARIAT_WAITQ_H

#include <stdbool.h>
#include <stddef.h>

#include "list.h"

struct task;

enum __attribute__((packed)) wake { WAKE_READY, WAKE_DEADLINE, WAKE_CANCELLED, WAKE_CLOSED };

/* One task's place in one queue of waiters. */
struct interest {
    struct task *task;
    struct waitq *queue;   /* NULL: not in any */
    struct list_link link; /* in its line */
    bool exclusive;        /* an operation that others may not interleave with: it stays */
    bool begun;            /* exclusive, and part of its message is on its way */
    bool stays;            /* though its task has been woken */
    bool end_only;         /* it waits for the object's end, not for its readiness */
};

struct waitq {
    struct list line;       /* of the tasks that wait, in the order they came */
    unsigned exclusive;     /* places of that kind, whether in line or woken */
    unsigned woken : 31;    /* places that stay, of tasks that have been woken */
    unsigned has_begun : 1; /* a place of that kind, of which there is one at most */
};

/* Takes a place: as the last in line, or as the first. The caller has set the flags, which leaving
 * clears, and suspends the task before anything else happens. */
void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front);
/* The same for a task that only gives its turn away: it is not in line for a wake-up. */
void waitq_hold(struct waitq *queue, struct interest *interest, struct task *task);
void waitq_woken(struct interest *interest); /* by task_wake only: out of the line */
void waitq_leave(struct interest *interest); /* in any case; harmless for one that has no place */

bool waitq_wake_first(struct waitq *queue, enum wake why); /* in line; false: nobody waits */
void waitq_wake_all(struct waitq *queue, enum wake why);

/* Nobody has a place in it, not even one that was woken and has yet to go on. */
static inline bool waitq_is_empty(const struct waitq *queue) {
    return list_is_empty(&queue->line) && queue->woken == 0;
}

static inline bool waitq_has_exclusive(const struct waitq *queue) {
    return queue->exclusive > 0;
}

#endif
