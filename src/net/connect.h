/* SPDX-License-Identifier: MIT
 *
 * Connecting streams: see connect.c.
 */
#ifndef LARIAT_CONNECT_H
#define LARIAT_CONNECT_H

#include <lua.h>

#include "net/address.h"
#include "net/socket.h"

int connect_to_host(lua_State *L, struct socket *s, const char *host, int port);
int connect_to_address(lua_State *L, struct socket *s, const struct address *a, uint64_t start);

#endif
