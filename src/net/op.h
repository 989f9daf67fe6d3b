/* SPDX-License-Identifier: MIT
 *
 * An operation is a blocking call written as an attempt that never blocks and may be repeated. The attempt
 * returns how many results it has pushed, or what it needs before it can be repeated (WANT_*); op_run()
 * suspends the task until then.
 *
 * Invariant: an operation that ends without its attempt (timeout, closed, cancelled) leaves nothing
 * behind: it is in no queue, and has taken no bytes that are not returned.
 */
#ifndef LARIAT_OP_H
#define LARIAT_OP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "task/task.h"

/* What an attempt needs before it can be repeated. No -errno has such a value (the kernel's and libuv's
 * end at -4095), nor has NO_MEMORY. */
enum {
    WANT_READ = -2000005, /* op->socket is readable */
    WANT_WRITE,           /* it is writable */
    WANT_PAUSE,           /* nothing will tell: try again after a while, which gets longer */
    WANT_TURN,            /* another turn: this one is used up; until then it counts as a reader */
    WANT_WRITE_TURN,      /* the same, counted as a writer: readers do not wait for it */
};

struct address;
struct op;
struct socket;

/* LuaSocket's two timeouts, in seconds; negative: none. */
struct timeout {
    double block; /* for one wait */
    double total; /* for the whole call */
};

/* Pushes results and returns their number, or returns WANT_*, of op->socket, which it may set. May raise. */
typedef int (*op_attempt)(lua_State *L, struct op *op);
/* Pushes the results of an operation that ended without its attempt: "timeout", "closed", ... */
typedef int (*op_fail)(lua_State *L, struct op *op, const char *why);

/* The part that all calls of a method share. */
struct op_type {
    const char *name; /* what the script called, for messages and dumps */
    op_attempt attempt;
    op_fail fail;
    /* Called before the operation first waits, if there is one: what it points to, and what lies in the
     * memory of the C function that called, must be copied to memory anchored by the stack. May raise. */
    void (*keep)(lua_State *L, struct op *op);
};

/* A second socket of an operation, in memory anchored by the caller's stack. */
struct op_other {
    struct socket *socket;    /* whose close ends the operation as well */
    struct interest interest; /* in the socket's queue while the operation is parked */
};

/* One call. It begins on the C stack; when it first waits, it moves into its task. */
struct op {
    const struct op_type *type;
    struct socket *socket;  /* whose readiness and timeouts apply */
    struct op_other *other; /* NULL: there is none */
    uint64_t start;         /* when the call first had to wait; 0: not yet */
    bool once;              /* no further attempt when the time is up */
    bool queued;            /* it has waited in line: it goes before operations that have not */
    bool begun;           /* part of its message has been sent: no other message may come between */
    unsigned char pauses; /* back-offs so far, up to the longest */
    union {
        struct {
            const struct address *to;
        } connect;
        struct {
            size_t want;       /* bytes still wanted; the limit of receiveany */
            size_t scanned;    /* input already searched for the delimiter */
            size_t max;        /* the longest unit allowed; 0: any */
            const char *delim; /* anchored by the caller's stack */
            unsigned delim_size;
            unsigned char pattern;
            bool iterate : 1; /* called as an iterator: raise instead of nil, message */
            bool inclusive : 1;
            bool got : 1;      /* "*a" received something */
            bool prefixed : 1; /* the caller's prefix is part of the result */
        } receive;
        struct {
            size_t want; /* bytes to wait for, behind `from` */
            size_t most; /* bytes to show */
            size_t from; /* bytes that the caller has seen already */
        } peek;
        struct {
            const char *data; /* anchored by the caller's stack */
            size_t size;
            size_t sent;
            long first; /* index of data[0] in the caller's counting */
        } send;
        struct {
            uint64_t moved;
            bool bulk; /* much came in the last round: let the kernel move it */
        } pipe;
        struct {
            const struct address *to; /* NULL: its socket is connected */
            size_t size;
            const char *data;
            long done;
            bool from;
            bool iterate;
        } datagram;
    } as;
};

/* The operation that a task is parked in. */
static inline struct op *op_of(struct task *task) {
    _Static_assert(sizeof(struct op) <= TASK_PARKED_SIZE, "an operation must fit into a task");
    return (struct op *)(void *)task->parked;
}

static inline void op_init(struct op *op, const struct op_type *type, struct socket *socket) {
    memset(op, 0, sizeof(*op));
    op->type = type;
    op->socket = socket;
}

/* When a name lookup of a call that began at `start` must end, by clock_now(); NEVER: no limit. A timeout
 * of 0 is none, since names cannot be looked up without waiting. */
uint64_t timeout_due(const struct timeout *timeout, uint64_t start);

/* Runs an operation, as the last thing that a method does: attempts it, and suspends the task as often as
 * needed. Returns the number of results. Raises if the task is cancelled, or cannot wait. */
int op_run(lua_State *L, struct op *op);

/* The same for an operation that the method has attempted itself, with the result `want` (WANT_*). */
int op_wait(lua_State *L, struct op *op, int want);

#endif
