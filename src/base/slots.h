/* SPDX-License-Identifier: MIT
 *
 * Memory at addresses that can be foretold: see slots.c.
 */
#ifndef LARIAT_SLOTS_H
#define LARIAT_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

struct slot;

void *slots_map(size_t before, size_t size); /* fixed memory in front of the slots, or NULL */
struct slot *slot_unused(void); /* the first in which nothing is alive; NULL: there is none left */
void *slot_take(struct slot *slot, size_t size); /* NULL: it is full */
void slot_free(void *block, size_t size);        /* to the slot it lies in */
bool slot_holds(const void *block);              /* whether it lies in any */
size_t slot_live(const struct slot *slot);       /* bytes alive in it */

#endif
