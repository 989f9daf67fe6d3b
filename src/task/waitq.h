/* SPDX-License-Identifier: MIT
 *
 * Wait queues. A queue is part of what is waited for (a socket's reading side, a condition, a
 * task's end); a waiting task is in one or several queues, each time by an interest. Zeroed memory
 * is an empty queue. Nothing here allocates, raises or waits.
 *
 * Invariant: an interest is in line until its task is woken, by whatever cause. One that `stays` is
 * still counted after that, until the task runs and leaves: it keeps other operations from
 * interleaving, and keeps the socket's memory. Any other has left by then. So the time that a call
 * takes depends only on the number of tasks it wakes, not on how many wait or have been woken.
 */
#ifndef LARIAT_WAITQ_H
#define LARIAT_WAITQ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct task;

enum __attribute__((packed)) wake { WAKE_READY, WAKE_DEADLINE, WAKE_CANCELLED, WAKE_CLOSED };

/* The claim of an interest; a queue has the sum. At most one interest has the second. */
#define CLAIM_EXCLUSIVE 1u           /* no other operation may interleave with this one */
#define CLAIM_BEGUN ((1u << 31) | 1) /* the same, and part of its message has been sent */

/* One task's entry in one queue. */
struct interest {
    struct task *task;
    struct waitq *queue;   /* NULL: in none */
    struct list_link link; /* in queue->line, until the task is woken */
    unsigned claim;        /* CLAIM_*, if it stays; else 0 */
    bool stays;            /* in the queue until its task runs, not only until it is woken */
};

struct waitq {
    struct list line; /* interests of waiting tasks, in order of arrival */
    unsigned claims;  /* sum of the claims of all interests, in line or woken */
    unsigned woken;   /* number of interests that stay although their task has been woken */
};

/* Enters the queue, as the last in line or, if `front`, as the first. The caller has set claim
 * and stays (leaving clears them), and suspends the task before anything else happens. */
void waitq_join(struct waitq *queue, struct interest *interest, struct task *task, bool front);

/* The same for a task that only gives up its turn: counted as if woken, and stays. */
void waitq_hold(struct waitq *queue, struct interest *interest, struct task *task);

/* The same for a bare line, whose interests neither stay nor claim anything: eight bytes instead of
 * a queue's sixteen. */
void waitq_join_line(struct list *line, struct interest *interest, struct task *task);
void waitq_wake_line(struct list *line, enum wake why);

/* Wakes the first task in line. False: there is none. */
bool waitq_wake_first(struct waitq *queue, enum wake why);

/* Wakes all tasks in line. */
void waitq_wake_all(struct waitq *queue, enum wake why);

/* Whether no interest is in the queue, not even one of a woken task that has not run yet. */
static inline bool waitq_is_empty(const struct waitq *queue) {
    return list_is_empty(&queue->line) && queue->woken == 0;
}

/* Whether an operation is waiting, or woken, that must not be interleaved with. */
static inline bool waitq_has_exclusive(const struct waitq *queue) {
    return queue->claims > 0;
}

/* The same for an operation that has sent part of its message. */
static inline bool waitq_has_begun(const struct waitq *queue) {
    return queue->claims >= CLAIM_BEGUN;
}

/* Leaves the queue, if it is in one. */
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

/* Called by task_wake for each interest of the woken task. */
static inline void waitq_woken(struct interest *interest) {
    if (!interest->stays) {
        waitq_leave(interest);
    } else if (list_has(&interest->link)) {
        list_remove(&interest->queue->line, &interest->link);
        interest->queue->woken++;
    }
}

#endif
