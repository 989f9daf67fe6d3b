/* SPDX-License-Identifier: MIT
 *
 * Memory that bytes are received into, and that can become a string of Lua's: see inplace.c.
 */
#ifndef LARIAT_INPLACE_H
#define LARIAT_INPLACE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define INPLACE_LEAST (8 * 1024) /* bytes from which on it pays */

void inplace_open(lua_State *L);
bool inplace_useful(void); /* can a room become a string? */

/* Keeps what is in it. Capacity 0 and NULL: no room, as with realloc. NULL: there is no memory, and
 * the room stays as it is. */
char *inplace_resize(char *room, size_t old_capacity, size_t capacity);

/* Shall the first `size` bytes become a string as they are? If so: pushes it; the room is its. */
bool inplace_fits(size_t capacity, size_t size);
void inplace_push(lua_State *L, char *room, size_t capacity, size_t size);

#endif
