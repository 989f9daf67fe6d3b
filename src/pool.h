/* SPDX-License-Identifier: MIT
 *
 * Memory for Lua's objects: see pool.c.
 */
#ifndef LARIAT_POOL_H
#define LARIAT_POOL_H

#include <stddef.h>

void *pool_alloc(void *unused, void *block, size_t old_size, size_t size); /* a lua_Alloc */
void pool_close(void);                                                     /* after lua_close */

/* More than this is refused without asking malloc. */
#define POOL_MOST ((size_t)1 << 39)

#endif
