/* SPDX-License-Identifier: MIT
 *
 * Lookups that are answered in Lua: socket.dns.use("lariat"). The program, and each machine of a
 * simulation, has a table that lua/lariat/dns.lua keeps what it knows in; the function at its index 1, if
 * any, answers the lookups of that program. See resolver.c.
 */
#ifndef LARIAT_RESOLVER_H
#define LARIAT_RESOLVER_H

#include <lua.h>
#include <stdbool.h>

struct lookup;

bool resolver_in_use(void); /* by the running task's program */
/* Starts a task that answers the lookup, which then ends. May raise; then the lookup has
 * been freed. */
void resolver_begin(lua_State *L, struct lookup *lookup);
void resolver_abandon(struct lookup *lookup); /* nobody waits for it: its task is cancelled */
void resolver_forget(struct lookup *lookup);  /* it is about to be freed */
int resolver_open(lua_State *L);              /* module lariat.core.resolver */

#endif
