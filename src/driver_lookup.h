/* SPDX-License-Identifier: MIT
 *
 * Name lookups of the kernel's driver: see driver_lookup.c.
 */
#ifndef LARIAT_DRIVER_LOOKUP_H
#define LARIAT_DRIVER_LOOKUP_H

struct lookup;

/* Starts a lookup, which ends in lookup_done() unless it is `done` already: 0, or an error. */
int kernel_lookup(struct lookup *lookup);

/* Takes a lookup back that no thread has begun; it then ends in lookup_done() soon. */
void kernel_forget_lookup(struct lookup *lookup);

#endif
