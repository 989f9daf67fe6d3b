/* SPDX-License-Identifier: MIT
 *
 * Where a task comes from: its function, the line that spawned it, the one that spawned its spawner,
 * and so on. See spawn_trace.c.
 */
#ifndef LARIAT_SPAWN_TRACE_H
#define LARIAT_SPAWN_TRACE_H

#include "task/location.h"

#define SPAWN_TRACE_LINES 4 /* its own spawner's line first; unknown ones have no file */

struct spawn_trace {
    struct location lines[SPAWN_TRACE_LINES];
    struct location
        body; /* where the task's function begins; no file: its name is known otherwise */
};

/* Of a task that runs `body` and was spawned at `at` by a task of that origin. */
unsigned spawn_trace_number(struct location at, struct location body, unsigned spawner);
const struct spawn_trace *spawn_trace_of(unsigned number); /* until the next spawn_trace_number */
void spawn_trace_close(void);

#endif
