/* SPDX-License-Identifier: MIT
 *
 * Memory that bytes are received into and that can then become a Lua string without being copied.
 */
#ifndef LARIAT_INPLACE_H
#define LARIAT_INPLACE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define INPLACE_LEAST (8 * 1024) /* bytes from which on it pays */

/* Once for each main state: learns how its strings are laid out. */
void inplace_open(lua_State *L);

/* Can such memory become a string in this state? If not, it can still be received into. */
bool inplace_useful(void);

/* As realloc, of memory that holds `capacity` bytes: NULL and capacity 0 make some, a new capacity of 0
 * frees it. Returns NULL if there is no memory; the old block then stays as it is. */
char *inplace_resize(char *bytes, size_t old_capacity, size_t capacity);

/* Is it worthwhile to make the first `size` bytes of such memory a string as they are? */
bool inplace_fits(size_t capacity, size_t size);

/* Makes them a string and pushes it. The memory is the string's, or has been freed. Call it only if
 * inplace_fits() says so. Like any push it may run finalizers, and raise. */
void inplace_push(lua_State *L, char *bytes, size_t capacity, size_t size);

#endif
