/* SPDX-License-Identifier: MIT
 *
 * Memory outside Lua, from malloc and from the pool.
 *
 * Invariant: an allocation that is refused is tried once more after Lua's garbage has been
 * collected, without finalizers. Only then does memory_try return NULL, or memory_alloc end the
 * process.
 */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/pool.h"
#include "base/state.h"

void *memory_checked(void *block, size_t size) {
    if (block == NULL && size > 0) {
        fprintf(stderr, "lariat: out of memory (%zu bytes)\n", size);
        abort();
    }
    return block;
}

/* Asks Lua for more than pool_alloc grants: Lua collects, asks again, then raises LUA_ERRMEM. */
static int exhaust(lua_State *L) {
    lua_newuserdatauv(L, POOL_MOST, 0);
    return 0;
}

int memory_no_memory(lua_State *L) {
    return exhaust(L);
}

bool memory_collect(void) {
    if (rt.L == NULL || !lua_checkstack(rt.L, 2)) {
        return false;
    }
    lua_pushcfunction(rt.L, exhaust);
    lua_pcall(rt.L, 0, 0, 0);
    lua_pop(rt.L, 1);
    return true;
}

void *memory_try(void *block, size_t size) {
    void *larger = realloc(block, size);
    if (larger == NULL && memory_collect()) {
        larger = realloc(block, size);
    }
    return larger;
}

void *memory_try_zeroed(size_t size) {
    void *block = calloc(1, size);
    if (block == NULL && memory_collect()) {
        block = calloc(1, size);
    }
    return block;
}

void *memory_try_take(size_t size) {
    void *block = pool_alloc(NULL, NULL, 0, size);
    return block != NULL || !memory_collect() ? block : pool_alloc(NULL, NULL, 0, size);
}

void memory_give_back(void *block, size_t size) {
    pool_alloc(NULL, block, size, 0);
}

void *memory_alloc(size_t size) {
    return memory_checked(memory_try(NULL, size), size);
}

void *memory_realloc(void *block, size_t size) {
    return memory_checked(memory_try(block, size), size);
}

void memory_free(void *block) {
    free(block);
}
