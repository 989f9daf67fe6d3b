/* SPDX-License-Identifier: MIT
 *
 * The strings of a table, for send.
 */
#ifndef LARIAT_GATHER_H
#define LARIAT_GATHER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define GATHER_MOST 16 /* pieces that are sent as they are */

/* The strings of the table at `index`, if it holds nothing else and at most GATHER_MOST: how many,
 * and `size` bytes together. They are anchored by the table. 0: gather_string has to be asked. */
size_t gather_pieces(lua_State *L, int index, struct iovec *pieces, size_t *size);

/* Replaces the table at `index` by one string and returns that; raises if it holds anything else. */
const char *gather_string(lua_State *L, int index, size_t *size);

#endif
