/* SPDX-License-Identifier: MIT
 *
 * Memory that becomes a string without being copied. It is a block of the pool, with as much in front of
 * the bytes as the header of a Lua string takes, and as much behind them as its final NUL takes. When a string of these bytes is to be made, Lua asks its allocator for a block of
 * this form, is given this very one, and copies the bytes onto themselves: memcpy with equal
 * pointers, which GCC demands of every libc to work, and which glibc's returns from at once.
 *
 * How a string is laid out is learned from one that is made at the start. If it is not as expected,
 * or the state has another allocator than the pool (an exact one has), nothing becomes a string and
 * bytes are copied as ever.
 *
 * Invariant: a block is offered only from within inplace_push, to the first allocation that comes. Lua
 * 5.4 makes none before the string's in lua_pushlstring; should another version do, it gets a block
 * of the pool's, and the string is a copy. Taking an offered block cannot fail, so no emergency
 * collection runs; the usual one, with its finalizers, runs when the string is made.
 */
#include "net/inplace.h"

#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/state.h"
#include "net/socket.h"

#define SAMPLE 64     /* bytes: no short string, which would be interned */
#define MOST_FRAME 64 /* header and end together: else this is not what we know */

static struct {
    size_t header, end; /* bytes of a string's block before and behind its text */
    char *block;        /* on offer, or while learning the one Lua was given; or NULL */
    size_t size;        /* its size */
} string_block;

/* ---- learning ---- */

static void *watch(void *ud, void *block, size_t old_size, size_t size) {
    void *given = pool_alloc(ud, block, old_size, size);
    if (block == NULL && old_size == LUA_TSTRING) {
        string_block.block = given;
        string_block.size = size;
    }
    return given;
}

void inplace_open(lua_State *L) {
    void *ud;
    memset(&string_block, 0, sizeof(string_block));
    if (lua_getallocf(L, &ud) != pool_alloc) {
        return;
    }
    char sample[SAMPLE] = "";
    lua_setallocf(L, watch, ud);
    const char *text = lua_pushlstring(L, sample, SAMPLE);
    lua_setallocf(L, pool_alloc, ud);
    size_t frame = string_block.size - SAMPLE;
    size_t header = (size_t)(text - string_block.block);
    if (string_block.block != NULL && string_block.size > SAMPLE && frame <= MOST_FRAME &&
        header < frame) {
        string_block.header = header;
        string_block.end = frame - header;
    }
    string_block.block = NULL;
    lua_pop(L, 1);
}

bool inplace_useful(void) {
    return string_block.header > 0;
}

/* ---- the memory ---- */

static size_t block_size(size_t capacity) {
    return string_block.header + capacity + string_block.end;
}

char *inplace_resize(char *bytes, size_t old_capacity, size_t capacity) {
    char *block = bytes == NULL ? NULL : bytes - string_block.header;
    size_t old_size = bytes == NULL ? 0 : block_size(old_capacity);
    size_t size = capacity == 0 ? 0 : block_size(capacity);
    char *moved = pool_alloc(NULL, block, old_size, size);
    if (moved == NULL && size > 0 && memory_collect()) {
        moved = pool_alloc(NULL, block, old_size, size);
    }
    return moved == NULL ? NULL : moved + string_block.header;
}

/* ---- strings ---- */

/* Lua's allocator for one allocation: gives it the offered block. */
static void *offer(void *ud, void *block, size_t old_size, size_t size) {
    lua_setallocf(rt.L, pool_alloc, ud);
    if (block == NULL && old_size == LUA_TSTRING && size == string_block.size) {
        block = string_block.block;
        string_block.block = NULL;
        return block;
    }
    return pool_alloc(ud, block, old_size, size);
}

/* A small part of a large block is copied instead: cutting the rest off leaves a gap behind each such
 * string, which must be large enough to be used. */
bool inplace_fits(size_t capacity, size_t size) {
    return inplace_useful() && size >= INPLACE_LEAST &&
           (size > SHARED_SIZE || size >= capacity / 2);
}

/* A string whose block is somewhat larger than Lua knows does no harm: the pool gives both back to
 * malloc, which does not ask. */
void inplace_push(lua_State *L, char *bytes, size_t capacity, size_t size) {
    if (size < capacity - capacity / 16) {
        char *smaller = inplace_resize(bytes, capacity, size);
        bytes = smaller != NULL ? smaller : bytes;
    }
    string_block.block = bytes - string_block.header;
    string_block.size = block_size(size);
    lua_setallocf(L, offer, NULL);
    lua_pushlstring(L, bytes, size);
    if (string_block.block != NULL) { /* not taken */
        pool_alloc(NULL, string_block.block, string_block.size, 0);
        string_block.block = NULL;
    }
}
