/* SPDX-License-Identifier: MIT
 *
 * One lookup of a name, or of an address, as drivers see it: what is asked, and what came of it.
 * The driver calls `ended` exactly once, unless the lookup was `done` when the driver's function
 * returned; afterwards it does not touch it any more.
 */
#ifndef LARIAT_LOOKUP_H
#define LARIAT_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "task/waitq.h"

struct answer;
struct task_object;

#define LOOKUP_NOT_SIMULATED \
    (-9999) /* beside UV_EAI_*: a name of the real world, in a simulation */

/* One lookup. Owned by its waiter until that abandons it, then by its own completion. */
struct lookup {
    void (*ended)(struct lookup *lookup); /* called by the driver when it has ended */
    struct waitq waiters;
    bool done;
    bool abandoned;
    bool scripted;         /* answered in Lua, not by the driver: see net/resolver.c */
    struct answer *answer; /* what answers it then, and the task that does; or NULL */
    struct task_object *task;
    struct lookup *next, **link; /* among those of a simulation; link is NULL: not one of them */
    int err;                     /* 0 or a UV_EAI_* code */
    struct addrinfo *result;     /* owned */
    void *request;               /* of the driver's, while it is under way; or NULL */
    bool reverse;                /* address to name */
    bool service_wanted;         /* of a reverse lookup: the service's name is asked for as well */
    char host[NI_MAXHOST];       /* in: the name; out of a reverse lookup: the name found */
    char service[NI_MAXSERV];
    struct sockaddr_storage address; /* of a reverse lookup */
    int flags;                       /* of a reverse lookup: NI_* */
    struct addrinfo hints;
};

/* ---- the kernel's driver ---- */

/* Starts a lookup, which may be `done` on return: 0, or an error (UV_EAI_*, -errno). */
int kernel_lookup(struct lookup *lookup);

/* Takes a lookup back that no thread has begun; it then ends soon. */
void kernel_forget_lookup(struct lookup *lookup);

#endif
