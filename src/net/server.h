/* SPDX-License-Identifier: MIT
 *
 * Accepting one connection, as a step of an operation (server.c's accept, serve.c's loop).
 */
#ifndef LARIAT_SERVER_H
#define LARIAT_SERVER_H

#include <lua.h>

#include "net/op.h"

/* Accepts a connection from op->socket, a server: 0, with the client's object pushed; -EAGAIN if there is
 * none, or if tasks that came before `op` wait for one; or another -errno. Charges the task's turn. May
 * raise, for want of memory: the connection is then closed at the end of the tick. */
int server_accept(lua_State *L, struct op *op);

#endif
