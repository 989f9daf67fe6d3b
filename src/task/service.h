/* SPDX-License-Identifier: MIT
 *
 * A service has many tasks, its members, and counts them: the connections' tasks of a server, the
 * children of a group. However a member ends, also before its body could begin, for want of memory,
 * it is a member no longer, and who waits for that is woken.
 *
 * Invariant: the members follow each other in the list of all tasks, the newest first, so that they
 * take no memory of their own and the service reaches them alone. Each member keeps its service.
 */
#ifndef LARIAT_SERVICE_H
#define LARIAT_SERVICE_H

#include <lua.h>
#include <stdbool.h>

#include "task/waitq.h"

struct service {
    /* Called once for each member that ends as one, with its outcome known and its coroutine as that
     * was left; it may not raise. */
    void (*ended)(struct task *task);
    /* Pushes what its tasks are called; NULL: each has a name of its own. May raise. */
    void (*push_name)(lua_State *L, const struct service *service);
    void (*finished)(struct task *task); /* set by service_join: the scheduler calls it */
    bool raises;         /* what its members die of, it raises itself: that is not printed */
    const char *what;    /* a wait for its members is called in dumps */
    struct task *newest; /* member, or NULL */
    lua_Integer members;
    lua_Integer limit;    /* with fewer members somebody can go on */
    struct waitq waiting; /* for members to end */
};

/* The task, which was spawned last and is in no service, becomes a member. */
void service_join(struct service *service, struct task *task);
void service_leave(struct task *task); /* it is a member no longer; it may be in no service */
void service_cancel(struct service *service); /* every member */
/* A method's result: waits until there are fewer members than `limit` -> nothing. */
int service_wait(lua_State *L, struct service *service, lua_Integer limit);

#endif
