/* SPDX-License-Identifier: MIT
 *
 * Accepting, for those who accept otherwise than one at a time: see server.c.
 */
#ifndef LARIAT_SERVER_H
#define LARIAT_SERVER_H

#include <lua.h>

#include "net/op.h"

/* Accepts one connection as an attempt of `op`: 0 with the client's object pushed, or -errno;
 * -EAGAIN if nobody is there, or others have waited for longer. */
int server_accept(lua_State *L, struct op *op);

#endif
