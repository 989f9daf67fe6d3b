/* SPDX-License-Identifier: MIT
 *
 * One lookup of a name or of an address: the question and the answer, as drivers see them. After a
 * lookup has been started with success, either it is `done` on return, or the driver calls `ended`
 * exactly once, later; after that the driver does not use the struct any more.
 */
#ifndef LARIAT_LOOKUP_H
#define LARIAT_LOOKUP_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "task/waitq.h"

struct answer;
struct task_object;

/* An error beside UV_EAI_*: in a simulation, the name is one of the real world. */
#define LOOKUP_NOT_SIMULATED (-9999)

/* Freed by its waiters when they have the answer; once `abandoned`, by `ended`. */
struct lookup {
    void (*ended)(struct lookup *lookup); /* called by the driver once err and result are set */
    struct waitq waiters;                 /* tasks that wait for the answer */
    bool done;                            /* err and result are set */
    bool abandoned;                       /* no task waits any more */
    bool scripted;                        /* answered in Lua, not by the driver: net/resolver.c */
    struct answer *answer;                /* the object that answers it then; or NULL */
    struct task_object *task;             /* the task that does */
    struct lookup *next, **link; /* in the list of a simulation's lookups; link NULL: in none */
    int err;                     /* 0 or a UV_EAI_* code */
    struct addrinfo *result;     /* freed with the lookup; NULL: none */
    void *request;               /* the driver's, while the lookup is under way; else NULL */
    bool reverse;                /* address to name */
    bool service_wanted;         /* reverse lookup: the service's name is wanted as well */
    char host[NI_MAXHOST];       /* the name to look up; after a reverse lookup, the name found */
    char service[NI_MAXSERV];    /* likewise; empty: none */
    struct sockaddr_storage address; /* of a reverse lookup */
    int flags;                       /* of a reverse lookup: NI_* */
    struct addrinfo hints;
};

/* ---- the kernel's driver ---- */

/* Starts a lookup. 0: it is `done`, or `ended` is called later; else UV_EAI_*, THREADS_NONE or
 * -errno, and `ended` is not called. */
int kernel_lookup(struct lookup *lookup);

/* Cancels a lookup if no thread has begun it; `ended` is still called, later. */
void kernel_forget_lookup(struct lookup *lookup);

#endif
