/* SPDX-License-Identifier: MIT
 *
 * The allocator of Lua's objects, and of small blocks of our own (base/memory.h). It is quick and
 * has no header per block, because the caller passes the old size; memory of small blocks is
 * reused, but not given back to the system before the end.
 */
#ifndef LARIAT_POOL_H
#define LARIAT_POOL_H

#include <stddef.h>

/* A lua_Alloc. `block` NULL: allocates, whatever `old_size`; `size` 0: frees, returns NULL; else
 * moves the block. `old_size` must be what the block was asked with. NULL: no memory, `block` is
 * unchanged. */
void *pool_alloc(void *unused, void *block, size_t old_size, size_t size);

/* Frees everything, after lua_close: every small block becomes invalid. */
void pool_close(void);

/* A new block of more bytes than this is refused without asking malloc. */
#define POOL_MOST ((size_t)1 << 39)

#endif
