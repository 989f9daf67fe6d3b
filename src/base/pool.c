/* SPDX-License-Identifier: MIT
 *
 * Lua's allocator. Lua passes a block's size when it frees it, so a small block needs no header: it
 * is cut from a slab, and when freed goes to the free list of its size. That saves 100 bytes per
 * idle connection; allocating and freeing are a few instructions each, where malloc needs two
 * hundred once the collector has freed many blocks at a time (a connection's life: 11,800
 * instructions with malloc, 10,000 without).
 *
 * Invariant: a block of at most LARGEST bytes comes from a slab, its size rounded up to a multiple
 * of GRAIN, or of COARSE above FINE bytes; larger blocks are malloc's. Slabs are freed only when
 * the program ends: memory that held a small object once will hold one again.
 *
 * Under the address sanitizer every block is malloc's, so that each is checked.
 */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#define GRAIN 8 /* bytes: the alignment Lua needs; a coroutine takes 27 grains */
#define FINE 1024
#define COARSE 128 /* the grain of larger blocks: fewer sizes, so freed blocks fit again */
#define SLAB (32 * 1024 - 32) /* with malloc's own header it fills whole pages */
#ifdef __SANITIZE_ADDRESS__
#define LARGEST 0
#else
#define LARGEST 4096
#endif

struct free_block {
    struct free_block *next;
};

struct slab {
    struct slab *next;
    char bytes[SLAB - sizeof(struct slab *)];
};

static struct {
    struct free_block *free[LARGEST / GRAIN + 1]; /* by size in grains */
    struct slab *slabs;
    char *at, *end; /* the unused rest of the newest slab */
} pool;

/* The size in grains, rounded up to GRAIN or COARSE. */
static size_t grains(size_t size) {
    size_t grain = size <= FINE ? GRAIN : COARSE;
    return (size + grain - 1) / grain * (grain / GRAIN);
}

/* The free list of this size is empty: take the slab's next bytes. */
static void *cut(size_t size) {
    if ((size_t)(pool.end - pool.at) < size) {
        struct slab *slab = malloc(sizeof(*slab));
        if (slab == NULL) {
            return NULL;
        }
        slab->next = pool.slabs;
        pool.slabs = slab;
        pool.at = slab->bytes + GRAIN - sizeof(struct slab *);
        pool.end = (char *)(slab + 1);
    }
    pool.at += size;
    return pool.at - size;
}

static void *take(size_t size) {
    size_t n = grains(size);
    struct free_block *block = pool.free[n];
    if (block == NULL) {
        return cut(n * GRAIN);
    }
    pool.free[n] = block->next;
    return block;
}

static void *take_large(size_t size) {
    return size <= POOL_MOST ? malloc(size) : NULL;
}

static void give_back(void *block, size_t size) {
    struct free_block *free_block = block;
    size_t n = grains(size);
    free_block->next = pool.free[n];
    pool.free[n] = free_block;
}

static void *move(void *block, size_t old_size, size_t size) {
    if (old_size <= LARGEST && size <= LARGEST && grains(old_size) == grains(size)) {
        return block;
    }
    void *moved = size <= LARGEST ? take(size) : malloc(size);
    if (moved != NULL) {
        memcpy(moved, block, old_size < size ? old_size : size);
        pool_alloc(NULL, block, old_size, 0);
    }
    return moved;
}

void *pool_alloc(void *unused, void *block, size_t old_size, size_t size) {
    (void)unused;
    if (block == NULL) {
        return size == 0 ? NULL : size <= LARGEST ? take(size) : take_large(size);
    }
    if (size == 0) {
        if (old_size <= LARGEST) {
            give_back(block, old_size);
        } else {
            free(block);
        }
        return NULL;
    }
    return old_size > LARGEST && size > LARGEST ? realloc(block, size)
                                                : move(block, old_size, size);
}

void pool_close(void) {
    while (pool.slabs != NULL) {
        struct slab *next = pool.slabs->next;
        free(pool.slabs);
        pool.slabs = next;
    }
    memset(&pool, 0, sizeof(pool));
}
