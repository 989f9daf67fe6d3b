/* SPDX-License-Identifier: MIT
 *
 * What a select waits for, collected from the lists that the script gave: one entry for each object
 * that is a socket of ours, has a descriptor, or is waited for by a queue of tasks. How it is waited for
 * is select.c's business.
 *
 * The functions take the lists from the stack of the call, at the indices below.
 *
 * Invariant: a selection watches nothing until select.c arms its entries, and nothing once
 * selection_stop() has been called or it has been collected as garbage.
 */
#ifndef LARIAT_SELECTION_H
#define LARIAT_SELECTION_H

#include <lua.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/watch.h"
#include "net/socket.h"
#include "task/task.h"
#include "task/waitq.h"

/* Indices on the stack of a call. STRICT, a boolean: an object that cannot be waited for is an error,
 * and a closed socket is ready. */
enum { RECEIVERS = 1, SENDERS, SECONDS, STRICT };

struct entry {
    struct socket *socket;          /* NULL: not a socket of ours, or a closed one */
    struct waitq *queue;            /* of a task, or the condition of an object; or NULL */
    const struct task_object *task; /* ready when this has ended; or NULL */
    struct watch watch;             /* for a descriptor that is not of a socket of ours */
    int fd;                         /* -1: none */
    int events;                     /* POLLIN or POLLOUT */
    lua_Integer index;              /* in the script's list */
    bool dirty;                     /* readable without asking the kernel */
    bool ready;                     /* as last looked at */
};

struct selection {
    size_t count;               /* of entries; the other arrays have as many elements */
    uint64_t end;               /* the deadline, by clock_now() */
    struct interest *interests; /* used while the task waits */
    struct pollfd *polls;       /* used while looking */
    struct entry entries[];
};

/* Raises unless both lists are lists or absent. */
void selection_check_lists(lua_State *L);

/* Pushes the selection of both lists, and returns it. Calls methods of the objects in them (getfd,
 * dirty); raises for an object that cannot be waited for. */
struct selection *selection_new(lua_State *L);

/* Replaces both lists by copies: the script may change its own while the task waits. */
void selection_copy_lists(lua_State *L);

/* Stops watching the descriptors that are not of our sockets. */
void selection_stop(struct selection *sel);

#endif
