/* SPDX-License-Identifier: MIT
 *
 * Drains: when a script has closed a connection, what it sent is delivered in the background. First the
 * block is written, as long as the peer takes some of it every DRAIN_NS. If the peer had sent bytes that
 * were never read, the sending side is then shut, and what still comes is discarded until the peer's end,
 * within limits: a kernel that closes a TCP connection with unread input resets it, and the
 * reset destroys whatever of the answer is still on its way (RFC 2525, 2.17; nginx: lingering_close).
 *
 * SO_LINGER never makes close() wait: it is switched off before. {on, 0} resets at once; {on, t} bounds
 * the drain by t. A stream that is cut short ends with a reset, not with a clean end, where the kernel
 * can do that (TCP).
 *
 * Invariant: a close that has nothing pending and, as far as is known, nothing unread costs close(2)
 * alone. The kernel is asked for unread input only if something was sent and the peer has not ended, and
 * only if the last receive may have left something, or if so much was sent that part of it may still be
 * in the kernel.
 */
#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/socket.h"

#define SECOND 1000000000ull
#define DRAIN_NS (30 * SECOND)           /* without progress; and the most for discarding */
#define QUIET_NS (5 * SECOND)            /* discarding: the peer sends nothing and does not end */
#define QUIET_AT_EXIT_NS (SECOND / 2)    /* the same when the program ends */
#define DISCARD_MOST (16u * 1024 * 1024) /* bytes */
#define DISCARD_MOST_AT_EXIT (1024 * 1024)
#define LONG_TICK_NS (SECOND / 50)
#define SCRAP (16 * 1024) /* bytes in one receive */
#define SCRAPS 8          /* receives in one turn */
#define MUCH (16 * 1024)  /* bytes sent: more than leaves at once in an initial window */

struct drain {
    struct timer limit; /* first: expired() casts */
    struct socket *socket;
    uint64_t received, sent; /* as its box had counted */
    uint64_t end;            /* at the latest; NEVER: while there is progress */
    size_t discarded;        /* bytes of input */
    bool unread;             /* the peer has sent what is never read */
    bool shut;               /* all is sent, and the sending side shut */
};

/* ---- SO_LINGER ---- */

/* Makes close(2) reset the connection: what the kernel has yet to send is dropped. */
static void reset_on_close(const struct socket *s) {
    struct linger reset = {1, 0};
    if (s->watch.driver->setsockopt != NULL) {
        s->watch.driver->setsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    }
}

/* Returns the seconds of SO_LINGER, or -1 if it is off; switches it off unless they are 0. The kernel is
 * asked only if the option may have been set: by the script, or by others that have the descriptor. */
static int take_linger(const struct socket *s) {
    struct linger linger = {0, 0}, off = {0, 0};
    socklen_t length = sizeof(linger);
    const struct driver *driver = s->watch.driver;
    if (!s->out.lingers ||
        driver->getsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &linger, &length) < 0 ||
        !linger.l_onoff) {
        return -1;
    }
    if (linger.l_linger > 0) {
        driver->setsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
    }
    return linger.l_linger;
}

/* ---- input that were never reads ---- */

/* May unread input make the kernel reset the connection, and so destroy what was sent? */
static bool may_be_cut(const struct socket *s) {
    return (CLASS(s->class) & (CLASS(TCP_CLIENT) | CLASS(UNIX_CLIENT))) && s->out.wrote && !s->eof;
}

/* Must the kernel be asked whether it holds such input? Not if the last receive left nothing and that is
 * recent: it was in this tick, which has not lasted long, or events for input have been asked for since. */
static bool is_doubtful(const struct socket *s, const struct socket_box *box) {
    bool known = s->watch.drained &&
                 ((s->watch.armed & POLLIN) || s->received_in == state_tick_stamp()) &&
                 clock_now() - rt.tick < LONG_TICK_NS;
    return !known || input_size(s) > 0 || box->sent >= MUCH;
}

/* Receives and drops input. 0: the peer's end; -EAGAIN: that was all; another -errno; 1: there may be
 * more. */
static __attribute__((noinline)) int discard(struct socket *s, size_t *discarded) {
    char scrap[SCRAP];
    for (int i = 0; i < SCRAPS; i++) {
        ssize_t n = s->watch.driver->recv(s->watch.fd, scrap, sizeof(scrap));
        if (n <= 0) {
            s->eof = n == 0;
            return (int)n;
        }
        *discarded += (size_t)n;
    }
    return 1;
}

/* ---- the drain ---- */

static void finish(struct socket *s) {
    timer_remove(&s->drain->limit);
    memory_free(s->drain);
    s->drain = NULL;
    sockets.draining--;
    if (s->out.size > 0) {
        reset_on_close(s);
    }
    socket_bury(s);
}

static void expired(struct timer *timer) {
    finish(((struct drain *)timer)->socket);
}

/* The time by its driver's clock: a socket of the real world may be closed while a simulation runs. */
static uint64_t now_for(const struct socket *s) {
    return s->watch.driver == rt.driver ? clock_now() : clock_now_outside();
}

/* There was progress: restart the time limit. */
static void prolong(struct drain *drain) {
    uint64_t limit = !drain->shut ? DRAIN_NS : rt.closing ? QUIET_AT_EXIT_NS : QUIET_NS;
    uint64_t due = now_for(drain->socket) + limit;
    due = due < drain->end ? due : drain->end;
    if (drain->socket->watch.driver == rt.driver) {
        timer_set(&drain->limit, due);
    } else {
        timer_set_outside(&drain->limit, due);
    }
}

/* The block is empty, but the peer may send what is never read: shut the sending side, and wait for the
 * peer's end. */
static void shut(struct socket *s) {
    struct drain *drain = s->drain;
    uint64_t end = now_for(s) + DRAIN_NS;
    s->watch.driver->shutdown(s->watch.fd, SHUT_WR);
    drain->shut = true;
    drain->end = drain->end < end ? drain->end : end;
    prolong(drain);
}

/* Frees the input, unless a task that waited for more has yet to return it as a partial result. */
static void forget_input(struct socket *s) {
    if (!socket_awaited(s)) {
        input_discard(s);
    }
}

static __attribute__((noinline)) bool start(struct socket *s, const struct socket_box *box) {
    size_t discarded = 0;
    bool unread = input_size(s) > 0;
    int seconds = take_linger(s);
    if (seconds == 0) {
        return false;
    }
    int err = s->out.size > 0 ? output_flush(s) : 0;
    if (err == 0) {
        bool ask = may_be_cut(s) && (s->out.lingers || is_doubtful(s, box));
        int more = ask ? discard(s, &discarded) : 0;
        unread = unread || discarded > 0;
        err = more == 1 || (more == -EAGAIN && unread) ? -EAGAIN : 0;
    }
    struct drain *drain = err == -EAGAIN ? memory_try(NULL, sizeof(*drain)) : NULL;
    if (drain == NULL) { /* nothing to do, or no memory */
        if (s->out.size > 0) {
            reset_on_close(s);
        }
        return false;
    }
    *drain = (struct drain){.limit = {.due = NEVER, .fire = expired},
                            .socket = s,
                            .received = box->received,
                            .sent = box->sent,
                            .end = seconds < 0 ? NEVER : now_for(s) + (unsigned)seconds * SECOND,
                            .discarded = discarded,
                            .unread = unread};
    s->drain = drain;
    sockets.draining++;
    forget_input(s);
    if (s->out.size == 0) {
        shut(s);
    } else {
        prolong(drain);
    }
    watch_arm(&s->watch, s->out.size > 0 ? POLLIN | POLLOUT : POLLIN);
    return true;
}

bool drain_start(struct socket *s, const struct socket_box *box, bool at_once) {
    bool needed = s->out.size > 0 || s->out.lingers || (may_be_cut(s) && is_doubtful(s, box));
    return needed && !at_once && start(s, box);
}

void drain_flushed(struct socket *s, int err) {
    struct drain *drain = s->drain;
    forget_input(s);
    if (err == -EAGAIN) {
        prolong(drain);
    } else if (err == 0 && may_be_cut(s) &&
               (drain->unread || discard(s, &drain->discarded) > 0 || drain->discarded > 0)) {
        shut(s);
    } else {
        finish(s);
    }
}

/* Called when input has come and no task waits for it. True: watch on. */
static bool on_readable(struct watch *watch) {
    struct socket *s = (struct socket *)watch; /* its first member */
    struct drain *drain = socket_drain(s);
    if (drain == NULL || !may_be_cut(s)) {
        return false;
    }
    forget_input(s);
    size_t before = drain->discarded;
    size_t most = rt.closing ? DISCARD_MOST_AT_EXIT : DISCARD_MOST;
    int err = discard(s, &drain->discarded);
    drain->unread = drain->unread || drain->discarded > before;
    if ((err < 0 && err != -EAGAIN) || (drain->shut && (err == 0 || drain->discarded > most))) {
        finish(s);
        return false;
    }
    if (drain->shut && drain->discarded > before) {
        prolong(drain);
    }
    return err != 0;
}

void drains_open(void) {
    watch_hooks.readable = on_readable;
}

void drain_hurry(struct socket *s) {
    if (socket_drain(s) != NULL && s->drain->shut) {
        prolong(s->drain);
    }
}

void drain_abort(struct socket *s) {
    if (socket_drain(s) != NULL) {
        finish(s);
    }
}

void drain_traffic(const struct socket *s, uint64_t *received, uint64_t *sent) {
    const struct drain *drain = socket_drain(s);
    *received = s->box != NULL ? s->box->received : drain != NULL ? drain->received : 0;
    *sent = s->box != NULL ? s->box->sent : drain != NULL ? drain->sent : 0;
}
