/* SPDX-License-Identifier: MIT
 *
 * The operation engine: every blocking socket call is an operation that op_run() attempts, and
 * attempts again after each wait. The life of one wait, for conn:receive() with no data there:
 *
 *  1. op_run: the attempt calls the driver's recv, gets EAGAIN and returns WANT_READ.
 *  2. not_yet: with a timeout of 0 the last attempt is made now, and there is no wait.
 *  3. park: task_prepare raises if the task is cancelled or Lua cannot yield; nothing is queued yet.
 *  4. park: due() computes when the timeouts end the wait; watch_arm asks the driver for POLLIN.
 *  5. join: the struct op is copied into its task, which enters the socket's queue of readers.
 *  6. task_park (task/wait.c): sets the task's timer, enters its scope's list of waits and yields.
 *  7. Other tasks run. When none is ready the loop waits in driver_kernel_turn (kernel/poller.c).
 *  8. Data comes: watch_ready (kernel/watch.c) wakes the first reader. The timer, a cancellation or
 *     close() may come first: whichever calls task_wake first decides how the wait ends.
 *  9. task_wake (task/task.c): out of the queues' lines and the scope's list, into the ready list.
 * 10. task_run_ready resumes the task in op_resumed; task_resumed leaves the queues, and says why.
 * 11. Ready: attempt again, and if that gets EAGAIN, park at the head of the queue. Deadline: the
 *     last attempt, then nil, "timeout". Closed: nil, "closed". Cancelled: raises task.cancelled.
 *
 * Invariant: an operation that ends without its attempt (timeout, closed, cancelled) leaves nothing
 * behind: no entry in a queue, no timer that fires, no bytes received and not returned.
 */
#include "net/op.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/state.h"
#include "base/world.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/result.h"
#include "net/socket.h"
#include "task/task.h"

#define FIRST_PAUSE_NS (1000 * 1000)
#define LONGEST_PAUSE 6 /* doublings: 64 ms */

static uint64_t saturated(double seconds) {
    return seconds < 1e9 ? (uint64_t)(seconds * 1e9) : NEVER / 2;
}

uint64_t timeout_due(const struct timeout *t, uint64_t start) {
    double seconds = t->block < 0                          ? t->total
                     : t->total < 0 || t->block < t->total ? t->block
                                                           : t->total;
    return seconds <= 0 ? NEVER : start + saturated(seconds);
}

/* When the wait that begins now must end; LuaSocket's rule for its two timeouts. */
static uint64_t due(struct op *op) {
    const struct timeout *t = socket_timeout(op->socket);
    if (t->block < 0 && t->total < 0) {
        return NEVER;
    }
    uint64_t now = clock_now();
    if (op->start == 0) {
        op->start = now;
    }
    if (t->total < 0) {
        return op->start + saturated(t->block);
    }
    uint64_t end = op->start + saturated(t->total);
    uint64_t wait_end = t->block < 0 ? end : now + saturated(t->block);
    return wait_end < end ? wait_end : end;
}

static bool may_not_wait(const struct op *op) {
    const struct timeout *t = socket_timeout(op->socket);
    return t->block == 0 || t->total == 0;
}

static int op_resumed(lua_State *L, int status, lua_KContext ctx);

/* What a parked operation waits for, beside its end. */
enum resume_after { AFTER_READINESS, AFTER_PAUSE, AFTER_TURN };

/* Before the operation waits. False: keeping what it needs ran a finalizer, which closed the socket. */
static bool keep(lua_State *L, struct op *op) {
    if (op->type->keep != NULL && !op->queued) {
        op->type->keep(L, op);
    }
    return !op->socket->closed && !(op->other != NULL && op->other->socket->closed);
}

static bool wants_turn(int want) {
    return want == WANT_TURN || want == WANT_WRITE_TURN;
}

/* Moves the operation into its task. The task's interest will keep the socket's memory, and if
 * `exclusive` keep other operations from interleaving. */
static inline struct task *move_in(struct op *op, bool exclusive) {
    struct task *task = scheduler.current;
    if (op != op_of(task)) {
        *op_of(task) = *op;
    }
    task->interest.claim = !exclusive ? 0 : op->begun ? CLAIM_BEGUN : CLAIM_EXCLUSIVE;
    task->interest.stays = true;
    return task;
}

static inline void join(struct op *op, struct waitq *queue, bool front) {
    struct task *task = move_in(op, true);
    waitq_join(queue, &task->interest, task, front);
    if (op->other != NULL) {
        task->set = &op->other->interest;
        task->set_count = 1;
        *task->set = (struct interest){0};
        waitq_join_line(&op->other->socket->pipes, task->set, task);
    }
}

/* Suspends the task until the next tick; it counts in the queue but is not in line for a wake-up. */
static int give_way(lua_State *L, struct op *op, struct waitq *queue, bool exclusive) {
    struct task *task = move_in(op, exclusive);
    waitq_hold(queue, &task->interest, task);
    return task_give_way(L, AFTER_TURN, op_resumed);
}

/* Suspends the task until what the operation wants has come, or its time is up. `again`: it was woken as
 * the first in line, and has not got all it needs; it becomes the first again. */
static int park(lua_State *L, struct op *op, int want, bool again) {
    task_prepare(L, op->type->name);
    if (op->socket->watch.driver != rt.driver) {
        world_refuse(L, op->type->name); /* a socket of the real world, in a simulation */
    }
    if (!keep(L, op)) {
        return op->type->fail(L, op, "closed");
    }
    uint64_t end = due(op);
    struct watch *watch = &op->socket->watch;
    again = again && op->queued;
    if (wants_turn(want)) {
        return give_way(L, op, want == WANT_TURN ? &watch->readers : &watch->writers, true);
    }
    enum resume_after after = AFTER_READINESS;
    if (want == WANT_PAUSE) {
        uint64_t until = clock_now() + ((uint64_t)FIRST_PAUSE_NS << op->pauses);
        op->pauses = op->pauses < LONGEST_PAUSE ? op->pauses + 1 : op->pauses;
        end = until < end ? until : end;
        after = AFTER_PAUSE;
    } else {
        int err = watch_arm(watch, want == WANT_READ ? POLLIN : POLLOUT);
        if (err < 0) {
            return op->type->fail(L, op, result_watch_message(err));
        }
    }
    if (want == WANT_READ) {
        output_parting(op->socket);
    }
    join(op, want == WANT_READ ? &watch->readers : &watch->writers, again);
    return task_park(L, op->type->name, end, true, after, op_resumed);
}

/* The time is up. Attempt once more, but flush output first, which the peer may wait for, and ask the
 * kernel even if nothing is known to have come. */
static int last_attempt(lua_State *L, struct op *op) {
    if (op->once) {
        return op->type->fail(L, op, "timeout");
    }
    outputs_flush();
    op->socket->watch.drained = false;
    int n = op->type->attempt(L, op);
    return n >= 0 ? n : op->type->fail(L, op, "timeout");
}

/* The attempt has asked for `want`, one of WANT_*. */
static int not_yet(lua_State *L, struct op *op, int want, bool again) {
    while (wants_turn(want) && !task_can_wait(L)) {
        scheduler.budget = TASK_BUDGET; /* this cannot give its turn away */
        want = op->type->attempt(L, op);
    }
    if (want >= 0) {
        return want;
    }
    if (op->socket->closed) {
        return op->type->fail(L, op, "closed");
    }
    bool late = !wants_turn(want) && may_not_wait(op);
    return late ? last_attempt(L, op) : park(L, op, want, again);
}

/* What lies in memory raises no event: those who wait for this socket are told by the operation that
 * has left it there. All who select find it ready; of operations only the first in line can go on. */
static __attribute__((noinline)) void hand_on(struct socket *s) {
    bool more = input_size(s) > 0 || s->eof || datagrams_waiting(s);
    struct list *line = &s->watch.readers.line;
    while (more && !list_is_empty(line)) {
        more = LIST_ITEM(line->first, struct interest, link)->claim == 0;
        waitq_wake_first(&s->watch.readers, WAKE_READY);
    }
}

static int attempt(lua_State *L, struct op *op, bool again) {
    struct socket *s = op->socket;
    int n = op->type->attempt(L, op);
    if (n < 0) {
        return not_yet(L, op, n, again);
    }
    if (!list_is_empty(&s->watch.readers.line)) {
        hand_on(s);
    }
    return n;
}

static int op_resumed(lua_State *L, int status, lua_KContext ctx) {
    struct op *op = op_of(scheduler.current);
    enum wake why = task_resumed();
    (void)status;
    if (why == WAKE_CANCELLED) {
        hand_on(op->socket);
        return task_raise(L);
    }
    if (why == WAKE_CLOSED || op->socket->closed) {
        return op->type->fail(L, op, "closed");
    }
    op->queued = op->queued || ctx != AFTER_TURN; /* giving a turn away is not waiting in line */
    bool late =
        ctx == AFTER_READINESS ? why == WAKE_DEADLINE : op->start != 0 && clock_now() >= due(op);
    return late ? last_attempt(L, op) : attempt(L, op, ctx != AFTER_TURN);
}

int op_wait(lua_State *L, struct op *op, int want) {
    return not_yet(L, op, want, false);
}

/* The socket may be closed: by a finalizer that ran after the method looked at it. */
int op_run(lua_State *L, struct op *op) {
    if (op->socket->closed) {
        return op->type->fail(L, op, "closed");
    }
    if (scheduler.budget <= 0 && task_can_wait(L)) {
        task_prepare(L, op->type->name);
        if (!keep(L, op)) {
            return op->type->fail(L, op, "closed");
        }
        return give_way(L, op, &op->socket->watch.readers, false);
    }
    return attempt(L, op, false);
}
