/* SPDX-License-Identifier: MIT
 *
 * Memory for Lua's objects. Lua says how large a block is when it gives it back, so a small one
 * needs no header: it is cut from an arena and goes to a list of free ones of its size. Of an idle
 * connection that saves 100 bytes; taking and giving back are a few instructions each, where malloc
 * needs two hundred once the collector has freed many at a time (a connection's life: 11,800
 * instructions with malloc, 10,000 without).
 *
 * Invariant: a block of at most LARGEST bytes comes from an arena and is of the next multiple of
 * GRAIN, or of COARSE if it is larger than FINE; every other one is malloc's. Arenas are given back
 * when the program ends: what has been a small object once will be one again.
 *
 * With the address sanitizer every block is malloc's, so that it sees what is done to each.
 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#define GRAIN 8 /* what Lua needs its objects aligned to; a coroutine is 27 of them */
#define FINE 1024
#define COARSE 128             /* for what is larger than that */
#define ARENA (32 * 1024 - 32) /* with malloc's own header it fills whole pages */
#ifdef __SANITIZE_ADDRESS__
#define LARGEST 0
#else
#define LARGEST 4096
#endif

struct free_block {
    struct free_block *next;
};

struct arena {
    struct arena *next;
    char bytes[ARENA - sizeof(struct arena *)];
};

static struct {
    struct free_block *free[LARGEST / GRAIN + 1]; /* by size in grains */
    struct arena *arenas;
    char *at, *end; /* what is left of the newest */
} pool;

/* Rounded up, the larger ones more: theirs are so many sizes that hardly a block would fit again. */
static size_t grains(size_t size) {
    size_t grain = size <= FINE ? GRAIN : COARSE;
    return (size + grain - 1) / grain * (grain / GRAIN);
}

/* No block of that size has been given back: the arena's next bytes. */
static void *cut(size_t size) {
    if ((size_t)(pool.end - pool.at) < size) {
        struct arena *arena = malloc(sizeof(*arena));
        if (arena == NULL) {
            return NULL;
        }
        arena->next = pool.arenas;
        pool.arenas = arena;
        pool.at = arena->bytes + GRAIN - sizeof(struct arena *);
        pool.end = (char *)(arena + 1);
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
    while (pool.arenas != NULL) {
        struct arena *next = pool.arenas->next;
        free(pool.arenas);
        pool.arenas = next;
    }
    memset(&pool, 0, sizeof(pool));
}
