/* SPDX-License-Identifier: MIT
 *
 * Spawn traces: where a task's function begins, the line that spawned the task, the line that
 * spawned its spawner, and so on. A task stores a number instead of a trace; equal traces have one
 * number.
 */
#ifndef LARIAT_SPAWN_TRACE_H
#define LARIAT_SPAWN_TRACE_H

#include "task/location.h"

#define SPAWN_TRACE_LINES 4

struct spawn_trace {
    struct location lines[SPAWN_TRACE_LINES]; /* where it was spawned, its spawner was, ... */
    struct location body; /* where its function begins; unknown if the task was given a name */
};

/* The number for a task that runs `body` and was spawned at `at` by a task whose trace has the
 * number `spawner`. 0, the unknown trace, if there is no memory or there are too many. Never
 * raises. */
unsigned spawn_trace_number(struct location at, struct location body, unsigned spawner);

/* The trace; valid until the next call of spawn_trace_number. Never NULL. */
const struct spawn_trace *spawn_trace_of(unsigned number);

/* Frees the table: numbers become invalid. */
void spawn_trace_close(void);

#endif
