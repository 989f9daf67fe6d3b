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

#include "base/list.h"

struct task;

enum __attribute__((packed)) wake { WAKE_READY, WAKE_DEADLINE, WAKE_CANCELLED, WAKE_CLOSED };

/* What a place claims; the queue has the sum. At most one place of a queue claims the second. */
#define CLAIM_EXCLUSIVE 1u           /* an operation that others may not interleave with */
#define CLAIM_BEGUN ((1u << 31) | 1) /* the same, and part of its message is on its way */

/* One task's place in one queue of waiters. */
struct interest {
    struct task *task;
    struct waitq *queue;   /* NULL: not in any */
    struct list_link link; /* in its line */
    unsigned claim;        /* CLAIM_*, of a place that stays; or 0 */
    bool stays;            /* though its task has been woken */
};

struct waitq {
    struct list line; /* of the tasks that wait, in the order they came */
    unsigned claims;  /* of all places, whether in line or woken */
    unsigned woken;   /* places that stay, of tasks that have been woken */
};

/* Takes a place: as the last in line, or as the first. The caller has set the flags, which leaving
 * clears, and suspends the task before anything else happens. */
void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front);
/* The same for a task that only gives its turn away: it is not in line for a wake-up. */
void waitq_hold(struct waitq *queue, struct interest *interest, struct task *task);

/* Of places that neither stay nor claim anything a queue is its line alone: this is the same for
 * such a line, where the other eight bytes matter. */
void waitq_join_line(struct list *line, struct interest *interest, struct task *task);
void waitq_wake_line(struct list *line, enum wake why);

bool waitq_wake_first(struct waitq *queue, enum wake why); /* in line; false: nobody waits */
void waitq_wake_all(struct waitq *queue, enum wake why);

/* Nobody has a place in it, not even one that was woken and has yet to go on. */
static inline bool waitq_is_empty(const struct waitq *queue) {
    return list_is_empty(&queue->line) && queue->woken == 0;
}

static inline bool waitq_has_exclusive(const struct waitq *queue) {
    return queue->claims > 0;
}

static inline bool waitq_has_begun(const struct waitq *queue) {
    return queue->claims >= CLAIM_BEGUN;
}

/* Gives the place up, if it has one. */
static inline void waitq_leave(struct interest *interest) {
    struct waitq *queue = interest->queue;
    if (queue == NULL) {
        return;
    }
    if (list_has(&interest->link)) {
        list_remove(&queue->line, &interest->link);
    } else {
        queue->woken--;
    }
    if (interest->claim != 0) {
        queue->claims -= interest->claim;
        interest->claim = 0;
    }
    interest->queue = NULL;
    interest->stays = false;
}

/* Its task has been woken: called by task_wake for each place. */
static inline void waitq_woken(struct interest *interest) {
    if (!interest->stays) {
        waitq_leave(interest);
    } else if (list_has(&interest->link)) {
        list_remove(&interest->queue->line, &interest->link);
        interest->queue->woken++;
    }
}

#endif
