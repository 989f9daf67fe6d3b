/* SPDX-License-Identifier: MIT
 *
 * The dump: what every task and socket is doing, for a person who asks why a program hangs. Making it
 * changes no task and no socket, and never waits.
 */
#ifndef LARIAT_DUMP_H
#define LARIAT_DUMP_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the dump as text: with `all`, tasks with their tracebacks, and sockets; else one line for each
 * task. Never raises: without memory the text says so. */
void dump_push_text(lua_State *L, bool all);

/* Pushes the table lariat.core.dump: tasks, sockets, domain, left, failed. May raise (memory). */
int dump_open(lua_State *L);

#endif
