/* SPDX-License-Identifier: MIT
 *
 * Memory outside Lua. memory_try* return NULL when there is no memory: for calls that can report it
 * to the script, by memory_no_memory or an error of their own. memory_alloc and memory_realloc end
 * the process with a message instead: for places where nothing could report it. Both kinds first
 * collect Lua's garbage (without running finalizers) and ask again. None of them raises.
 */
#ifndef LARIAT_MEMORY_H
#define LARIAT_MEMORY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* Freed by memory_free. */
void *memory_try(void *block, size_t size); /* as realloc; NULL: `block` stays valid, as it is */
void *memory_try_zeroed(size_t size);       /* as calloc: pages never written take no memory */
void *memory_alloc(size_t size);            /* as malloc; never NULL for a size above 0 */
void *memory_realloc(void *block, size_t size);
void memory_free(void *block); /* NULL: nothing happens */

/* From the pool that Lua's objects come from: cheap for small blocks of which there are very many.
 * Freed by memory_give_back with the size it was asked with. NULL: there is no memory. */
void *memory_try_take(size_t size);
void memory_give_back(void *block, size_t size);

/* Collects Lua's garbage, without running finalizers. False: no state, or no stack space. */
bool memory_collect(void);

/* Raises Lua's memory error: does not return. */
int memory_no_memory(lua_State *L);

/* A result in place of -errno: the caller is to raise the memory error. */
#define NO_MEMORY (-1000000)

/* Returns `block`; ends the process with a message if it is NULL and `size` is above 0. */
void *memory_checked(void *block, size_t size);

#endif
