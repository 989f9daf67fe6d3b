/* SPDX-License-Identifier: MIT
 *
 * Memory that bytes are received into, and that can become a string of Lua's: see room.c.
 */
#ifndef LARIAT_ROOM_H
#define LARIAT_ROOM_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define ROOM_LEAST (8 * 1024) /* bytes from which on it pays */

void room_open(lua_State *L);
bool room_useful(void); /* can a room become a string? */

/* Keeps what is in it. Capacity 0 and NULL: no room, as with realloc. NULL: there is no memory, and
 * the room stays as it is. */
char *room_resize(char *room, size_t old_capacity, size_t capacity);

/* Shall the first `size` bytes become a string as they are? If so: pushes it; the room is its. */
bool room_fits(size_t capacity, size_t size);
void room_push(lua_State *L, char *room, size_t capacity, size_t size);

#endif
