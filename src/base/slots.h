/* SPDX-License-Identifier: MIT
 *
 * Memory at predictable addresses, for the objects of an exact state. A slot is 4 GiB of address
 * space at a fixed address. The offsets of blocks in a slot depend only on the sequence of
 * slot_take and slot_free calls since the slot was handed out. Slots are never unmapped, but reused
 * once empty.
 */
#ifndef LARIAT_SLOTS_H
#define LARIAT_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

struct slot;

/* Maps `size` bytes that begin `before` bytes below the first slot; the caller unmaps them by
 * munmap. NULL: these addresses are taken, or there is no memory. */
void *slots_map(size_t before, size_t size);

/* The first slot without live blocks, emptied. NULL: all slots are in use, or the address is
 * taken. */
struct slot *slot_unused(void);

/* A block aligned to 16 bytes; NULL: the slot is full. */
void *slot_take(struct slot *slot, size_t size);

/* Frees a block of slot_take, with the size it was asked with, into the slot it lies in. */
void slot_free(void *block, size_t size);

bool slot_holds(const void *block);        /* whether the block lies in any slot; false for NULL */
size_t slot_live(const struct slot *slot); /* bytes taken and not yet freed */

#endif
