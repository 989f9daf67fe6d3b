/* SPDX-License-Identifier: MIT
 *
 * Name lookups that suspend only their task: see resolve.c.
 */
#ifndef LARIAT_RESOLVE_H
#define LARIAT_RESOLVE_H

#include <lua.h>
#include <netdb.h>
#include <stdbool.h>

#include "task.h"

/* One lookup under way. Owned by its waiter until that abandons it, then by its own completion. */
struct lookup {
    struct waitq waiters;
    bool done;
    bool abandoned;
    int err;                 /* 0 or a UV_EAI_* code */
    struct addrinfo *result; /* owned */
    bool reverse;            /* address to name */
    char host[NI_MAXHOST];   /* in: the name; out of a reverse lookup: the name found */
    char service[NI_MAXSERV];
    struct sockaddr_storage address; /* of a reverse lookup */
    int flags;               /* of a reverse lookup: NI_* */
    struct addrinfo hints;
    void *request;           /* the driver's */
};

/* Continues with k(L, 0, ctx) once the lookup has ended; `*slot` is then the finished lookup, to be
 * freed by lookup_free. Cancellation and deadline abandon it. */
struct lookup *lookup_start(const char *host, int family, int type);
struct lookup *lookup_start_reverse(const struct sockaddr *address, int flags);
int lookup_wait(lua_State *L, struct lookup *lookup, uint64_t due, lua_KFunction k);
enum wake lookup_resumed(struct lookup *lookup); /* abandons it unless it is done */
void lookup_free(struct lookup *lookup);
void lookup_done(struct lookup *lookup); /* called by the driver */

int resolve_open_dns(lua_State *L);      /* the functions of socket.dns */

#endif
