/* SPDX-License-Identifier: MIT
 *
 * Lookups of names that suspend only their task.
 *
 * A lookup is started, waited for, and asked for its result in the continuation:
 *
 *     task_prepare(L, what);
 *     return lookup_wait(L, lookup_start(host, family, type), due, k);
 *
 *     int k(lua_State *L, int status, lua_KContext ctx) {
 *         struct lookup *lookup = (struct lookup *)ctx;
 *         enum wake why = lookup_resumed(lookup);
 *         if (why != WAKE_READY) {
 *             ... the lookup is gone: a deadline, or task_raise(L)
 *         }
 *         ... lookup->err, or lookup->result; then lookup_free(lookup), unless lookup_take did it
 *     }
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

/* Start a lookup and never fail: a lookup that cannot be started is done, with its `err` set. The
 * caller waits for it and frees it.
 *   lookup_start            the addresses of a host; `family` AF_UNSPEC: of both families
 *   lookup_start_canonical  the IPv4 addresses of a host, and its canonical name
 *   lookup_start_service    the addresses of a host and service; "": none is given
 *   lookup_..._by_driver    the same, but never answered in Lua (net/resolver.c)
 *   lookup_start_reverse    the name of an address, into `host`, and if `service` is set that of its
 *                           port, into `service`; `flags` are getnameinfo's (NI_*) */
struct lookup *lookup_start(const char *host, int family, int type);
struct lookup *lookup_start_canonical(const char *host);
struct lookup *lookup_start_service(const char *host, const char *service);
struct lookup *lookup_start_by_driver(const char *host);
struct lookup *lookup_reverse_by_driver(const struct sockaddr *address, int flags);
struct lookup *lookup_start_reverse(const struct sockaddr *address, int flags, bool service);

/* Suspends the task until the lookup has ended, until `due`, or until it is cancelled; goes on in k
 * with the lookup as its context. The caller has called task_prepare(). */
int lookup_wait(lua_State *L, struct lookup *lookup, uint64_t due, lua_KFunction k);
/* Must be called first in k. WAKE_READY: the lookup is done. Anything else says why the wait has ended
 * without it; the lookup is then not the caller's any more. */
enum wake lookup_resumed(struct lookup *lookup);
/* The first address found, with this port, and the lookup freed: 0, or the number of results that it
 * has pushed for its failure. */
int lookup_take(lua_State *L, struct lookup *lookup, int port, struct address *a);
void lookup_free(struct lookup *lookup);

/* Frees every lookup of the simulation, which is over: its tasks have been dropped. */
void lookups_drop(void);

/* What to do with an address, for the socket at index 1: pushes results and returns their number. */
typedef int (*address_user)(lua_State *L, struct socket *s, const struct address *a);

/* Finds the address of a host, which may be numeric, "*" or a name, and returns what `use` does, or nil
 * and a message. `what` is the method, for messages. Looking a name up suspends the task, for the
 * socket's timeout at most; so `use` may be called from a continuation, with the same stack. */
int resolve_then(lua_State *L, const char *what, struct socket *s, const char *host, int port,
                 address_user use);

#endif
