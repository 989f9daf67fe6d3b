/* SPDX-License-Identifier: MIT
 *
 * Memory that is not Lua's. Where a script can be told that there is none, the call asks by memory_try
 * and fails, with memory_no_memory or an error of its own; where nobody can, it asks by memory_alloc,
 * and the process ends with a message. Before either, Lua's garbage is collected.
 */
#ifndef LARIAT_MEMORY_H
#define LARIAT_MEMORY_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

void *memory_try(void *block, size_t size); /* as realloc; NULL: `block` stays as it is */
void *memory_try_zeroed(size_t size);       /* what of it is never touched takes no memory */
void *memory_try_take(size_t size);         /* small ones, of which there may be very many */
void memory_give_back(void *block, size_t size);
bool memory_collect(void);          /* Lua's garbage, without its finalizers; false: it could not */
int memory_no_memory(lua_State *L); /* raises Lua's memory error */
#define NO_MEMORY (-1000000)        /* a result instead of -errno: the caller raises it */
void *memory_alloc(size_t size);
void *memory_realloc(void *block, size_t size);
void memory_free(void *block);
void *memory_checked(void *block, size_t size); /* the block, if there is one */

#endif
