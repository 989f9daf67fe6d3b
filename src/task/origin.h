/* SPDX-License-Identifier: MIT
 *
 * Where a task comes from: its function, the line that spawned it, the one that spawned its spawner,
 * and so on. See origin.c.
 */
#ifndef LARIAT_ORIGIN_H
#define LARIAT_ORIGIN_H

#include "task/place.h"

#define ORIGIN_LINES 4 /* its own spawner's line first; unknown ones have no file */

struct origin {
    struct place lines[ORIGIN_LINES];
    struct place body; /* where the task's function begins; no file: its name is known otherwise */
};

/* Of a task that runs `body` and was spawned at `at` by a task of that origin. */
unsigned origin_number(struct place at, struct place body, unsigned spawner);
const struct origin *origin_of(unsigned number); /* until the next origin_number */
void origin_close(void);

#endif
