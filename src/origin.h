/* SPDX-License-Identifier: MIT
 *
 * Where a task comes from: the line that spawned it, the one that spawned its spawner, and so on.
 * See origin.c.
 */
#ifndef LARIAT_ORIGIN_H
#define LARIAT_ORIGIN_H

#include "place.h"

#define ORIGIN_LINES 4 /* its own spawner's line first; unknown ones have no file */

struct origin {
    struct place lines[ORIGIN_LINES];
};

unsigned origin_number(struct place at, unsigned spawner); /* of a task spawned there by that one */
const struct origin *origin_of(unsigned number);           /* until the next origin_number */
void origin_close(void);

#endif
