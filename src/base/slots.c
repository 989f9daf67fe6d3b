/* SPDX-License-Identifier: MIT
 *
 * Slots of 4 GiB of address space, side by side from a fixed address on.
 *
 * Invariant: a block's offset in its slot depends only on the sequence of blocks taken from that
 * slot and freed to it. A slot is a bump allocator with a free list (last in, first out) per size
 * class. Its header is at its start, so a block's slot follows from the block's address. Pages that
 * are never touched cost nothing.
 *
 * Lua hashes the low half of an object's address, so the same offset has the same hash in any slot.
 * A single slot, emptied between runs, was rejected: some objects of a run outlive it.
 */
#include "base/slots.h"

#include <stdint.h>
#include <sys/mman.h>

/* An address range that programs, stacks and libraries do not use: below valgrind's own memory,
 * which begins at 64 GiB; or, in a sanitizer build, above the shadow memory. */
#ifdef __SANITIZE_ADDRESS__
#define START 0x200000000000u
#else
#define START 0x800000000u
#endif
#define SLOT_SIZE ((size_t)1 << 32)
#define SLOTS 1024

#define GRAIN 16 /* bytes: every block is aligned to it */
/* Sizes up to here are rounded up to GRAIN, larger ones to a quarter of a power of 2. */
#define FINE_LIMIT 1024
#define FINE_CLASSES (FINE_LIMIT / GRAIN + 1)
#define CLASSES (FINE_CLASSES + 4 * (32 - 10))

struct freed {
    struct freed *next;
};

struct slot {
    char *next;  /* memory from here to the slot's end has never been used */
    size_t live; /* bytes taken and not freed */
    struct freed *freed[CLASSES];
};

static size_t mapped; /* number of slots mapped so far; they are emptied, never unmapped */

/* ---- address space ---- */

static void *map_at(uintptr_t address, size_t size) {
    void *wanted = (void *)address;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *got = mmap(wanted, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (got != MAP_FAILED &&
        got != wanted) { /* a kernel before 4.17, which ignores MAP_FIXED_NOREPLACE */
        munmap(got, size);
        return NULL;
    }
    return got != MAP_FAILED ? got : NULL;
}

void *slots_map(size_t before, size_t size) {
    return map_at(START - before, size);
}

static struct slot *slot_at(size_t i) {
    return (struct slot *)(START + i * SLOT_SIZE);
}

bool slot_holds(const void *block) {
    return (uintptr_t)block - START < SLOTS * SLOT_SIZE;
}

static size_t used(const struct slot *slot) {
    return (size_t)(slot->next - (const char *)slot);
}

/* Gives the slot's pages back to the system, which zeroes its header as well, and starts it
 * anew. */
static struct slot *emptied(struct slot *slot) {
    if (slot->next != NULL) {
        madvise(slot, used(slot), MADV_DONTNEED);
    }
    slot->next = (char *)slot + (sizeof(*slot) + GRAIN - 1) / GRAIN * GRAIN;
    return slot;
}

struct slot *slot_unused(void) {
    for (size_t i = 0; i < mapped; i++) {
        if (slot_at(i)->live == 0) {
            return emptied(slot_at(i));
        }
    }
    if (mapped == SLOTS || map_at((uintptr_t)slot_at(mapped), SLOT_SIZE) == NULL) {
        return NULL;
    }
    return emptied(slot_at(mapped++));
}

/* ---- blocks ---- */

static size_t rounded(size_t size) {
    size_t step = GRAIN;
    if (size > FINE_LIMIT) {
        step = (size_t)1 << (61 - __builtin_clzl(size - 1));
    }
    return (size + step - 1) & ~(step - 1);
}

static struct freed **list_for(struct slot *slot, size_t rounded_size) {
    if (rounded_size <= FINE_LIMIT) {
        return &slot->freed[rounded_size / GRAIN];
    }
    unsigned power = 63u - (unsigned)__builtin_clzl(rounded_size - 1);
    size_t quarter = (rounded_size - 1) >> (power - 2) & 3;
    return &slot->freed[FINE_CLASSES + (power - 10) * 4 + quarter];
}

void *slot_take(struct slot *slot, size_t size) {
    size_t rounded_size = rounded(size);
    if (rounded_size >= SLOT_SIZE) {
        return NULL;
    }
    struct freed **list = list_for(slot, rounded_size);
    void *block = *list;
    if (block != NULL) {
        *list = (*list)->next;
    } else if (rounded_size <= SLOT_SIZE - used(slot)) {
        block = slot->next;
        slot->next += rounded_size;
    } else {
        return NULL;
    }
    slot->live += size;
    return block;
}

void slot_free(void *block, size_t size) {
    struct slot *slot = (struct slot *)((uintptr_t)block & ~(SLOT_SIZE - 1));
    struct freed **list = list_for(slot, rounded(size));
    struct freed *freed = block;
    freed->next = *list;
    *list = freed;
    slot->live -= size;
}

size_t slot_live(const struct slot *slot) {
    return slot->live;
}
