/* SPDX-License-Identifier: MIT
 *
 * Connecting a stream, for the methods of TCP and unix sockets. Both functions may suspend the task, and
 * return the number of results pushed: 1, or nil and a message.
 */
#ifndef LARIAT_CONNECT_H
#define LARIAT_CONNECT_H

#include <lua.h>

#include "net/address.h"
#include "net/socket.h"

/* Connects the socket at index 1, whose host is at index 2, by name or address. Its timeout bounds the
 * lookup and connecting together; a host with several addresses is raced. */
int connect_to_host(lua_State *L, struct socket *s, const char *host, int port);

/* Connects the socket at index 1 to one address. `start`: when the call began, if it has waited already
 * (for a lookup), else 0. */
int connect_to_address(lua_State *L, struct socket *s, const struct address *a, uint64_t start);

#endif
