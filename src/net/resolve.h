/* SPDX-License-Identifier: MIT
 *
 * Name lookups that suspend only their task: see resolve.c.
 */
#ifndef LARIAT_RESOLVE_H
#define LARIAT_RESOLVE_H

#include <lua.h>
#include <netdb.h>
#include <stdbool.h>

#include "kernel/lookup.h"
#include "net/address.h"
#include "task/task.h"

struct socket;

/* Continues with k(L, 0, ctx) once the lookup has ended; `*slot` is then the finished lookup, to be
 * freed by lookup_free. Cancellation and deadline abandon it. */
struct lookup *lookup_start(const char *host, int family, int type);
struct lookup *lookup_start_reverse(const struct sockaddr *address, int flags, bool service);
int lookup_wait(lua_State *L, struct lookup *lookup, uint64_t due, lua_KFunction k);
enum wake lookup_resumed(struct lookup *lookup); /* abandons it unless it is done */
void lookup_free(struct lookup *lookup);

/* What to do with an address, for the socket at index 1: pushes results. */
typedef int (*address_user)(lua_State *L, struct socket *s, const struct address *a);

/* Finds the address of a host, which may be numeric, "*" or a name, and returns what `use` does;
 * looking a name up suspends the task, for the socket's timeout at most. */
int resolve_then(lua_State *L, const char *what, struct socket *s, const char *host, int port,
                 address_user use);
/* The first address found, and the lookup freed: 0, or the results of its failure. */
int lookup_take(lua_State *L, struct lookup *lookup, int port, struct address *a);

void lookups_drop(void); /* a simulation is over, its tasks have been dropped */

int resolve_by_system(lua_State *L); /* a lookup either way that is never answered in Lua */
int resolve_open_dns(lua_State *L);  /* the functions of socket.dns */

#endif
