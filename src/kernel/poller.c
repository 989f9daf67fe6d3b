/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors, by one epoll set. libuv's own set is a member of it, so libuv runs only
 * when it has an event (a lookup has ended, a signal has come, a child has exited), and not in the
 * turns between. The alarm is a member as well, a timerfd: a turn need not read a clock to know how
 * long to wait or whether a timer is due.
 *
 * A private internet socket (no foreign code has its descriptor) is registered once, edge-triggered
 * and for both directions, and costs no further epoll_ctl while it lives; closing it ends the
 * registration. All other descriptors are level-triggered and registered only while they are
 * watched: what foreign code does with them is not known here.
 *
 * Invariants: a descriptor number has at most one watch, the one that was armed last and has not
 * been stopped. To a watch, readiness is level-triggered however the number is registered: for
 * edge-triggered ones, `ready` holds the events that were reported and that no system call has
 * contradicted since, and the watch is notified of them again in every turn. An event is only a
 * hint, so a late one, for a number that was closed meanwhile, is harmless.
 *
 * One uv_poll_t per descriptor was rejected: it is level-triggered, so the kernel checks every
 * ready socket twice, and it costs 170 bytes and up to two system calls per arming.
 */
#include "kernel/poller.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "kernel/watch.h"

#define EVENTS_PER_TURN 256 /* more are left to the next turn, after the ready tasks have run */
#define ALARM_GRAIN (1000 * 1000) /* ns: deadlines this close together share one alarm */
#define SECOND (1000 * 1000 * 1000)

/* Members of the set that have no watch, as `fd` in their events. */
enum { LIBUV = -1, ALARM = -2 };

enum mode { UNREGISTERED, LEVEL, EDGE };

struct entry {
    struct watch *watch; /* NULL: not watched */
    unsigned char mode;  /* enum mode */
    unsigned char ready; /* EDGE: POLLIN | POLLOUT, as far as events and system calls have shown */
    bool own;            /* a private internet socket: EDGE from the first watch on */
    bool doubtful;       /* EDGE: an end, an error or urgent data may follow a short read */
    bool hot;            /* in `hot` below */
};

static struct {
    int set, alarm;        /* the descriptors of the epoll set and of the timerfd */
    uv_prepare_t alive;    /* always active: without one, uv_backend_timeout is 0 in an idle loop */
    struct entry *entries; /* by descriptor number */
    size_t size;
    int *hot; /* EDGE descriptors to be looked at in the next turn: still ready? */
    size_t hot_count, hot_capacity;
    bool overflow; /* `hot` could not grow: look at every entry */
} poller;

/* ---- entries ---- */

static struct entry *known(int fd) {
    return fd >= 0 && (size_t)fd < poller.size ? &poller.entries[fd] : NULL;
}

/* Makes entries for numbers up to `index`. False: there is no memory. */
static bool grow(size_t index) {
    size_t size = poller.size ? poller.size : 64;
    while (size <= index) {
        size *= 2;
    }
    struct entry *entries = memory_try_zeroed(size * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    if (poller.size > 0) {
        memcpy(entries, poller.entries, poller.size * sizeof(*entries));
    }
    memory_free(poller.entries);
    poller.entries = entries;
    poller.size = size;
    return true;
}

static struct entry *entry_of(int fd) {
    size_t index = (size_t)fd;
    return index < poller.size || grow(index) ? &poller.entries[index] : NULL;
}

static __attribute__((cold, noinline)) bool grow_hot(void) {
    size_t capacity = poller.hot_capacity ? 2 * poller.hot_capacity : EVENTS_PER_TURN;
    int *hot = memory_try(poller.hot, capacity * sizeof(*hot));
    if (hot == NULL) {
        poller.overflow = true;
        return false;
    }
    poller.hot = hot;
    poller.hot_capacity = capacity;
    return true;
}

static inline void heat(int fd) {
    if (poller.entries[fd].hot || (poller.hot_count == poller.hot_capacity && !grow_hot())) {
        return;
    }
    poller.entries[fd].hot = true;
    poller.hot[poller.hot_count++] = fd;
}

/* ---- registration ---- */

static uint32_t level_events(int events) {
    return (events & POLLIN ? EPOLLIN : 0u) | (events & POLLOUT ? EPOLLOUT : 0u);
}

/* Foreign code may have closed, or even reopened, the number: if the kernel knows it although it
 * should not, or the other way round, use the other operation. */
static int enlist(int fd, uint32_t events, bool again) {
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    int err = epoll_ctl(poller.set, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (err < 0 && errno == (again ? ENOENT : EEXIST)) {
        err = epoll_ctl(poller.set, again ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    }
    return err < 0 ? -errno : 0;
}

static void unsubscribe(struct entry *e, int fd) {
    epoll_ctl(poller.set, EPOLL_CTL_DEL, fd, NULL); /* fails if foreign code has closed it */
    e->mode = UNREGISTERED;
}

/* 0; or -errno, and the descriptor is not registered. */
static int subscribe(struct entry *e, int fd, int events) {
    int err = 0;
    if (e->mode == EDGE) {
        return 0;
    }
    if (e->own) {
        err = enlist(fd, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET, false);
    } else {
        err = enlist(fd, level_events(events), e->mode == LEVEL);
    }
    if (err == 0) {
        e->mode = e->own ? EDGE : LEVEL;
    } else if (e->mode == LEVEL) {
        unsubscribe(e, fd); /* or it would keep reporting the events of before */
    }
    return err;
}

/* Takes the number from its watch, whose waiting tasks try again. */
static void evict(int fd) {
    struct watch *stale = poller_watch_of(fd);
    if (stale != NULL) {
        poller.entries[fd].watch = NULL;
        watch_lost(stale, stale->armed);
    }
}

int poller_watch(struct watch *w, int events) {
    if (w->fd < 0) {
        return -EBADF;
    }
    struct entry *e = entry_of(w->fd);
    if (e == NULL) {
        return -ENOMEM;
    }
    if (events == 0) {
        if (e->watch == w) {
            e->watch = NULL;
            if (e->mode == LEVEL) {
                unsubscribe(e, w->fd);
            }
        }
        return 0;
    }
    if (e->watch != NULL && e->watch != w) {
        if (!w->is_socket || e->watch->is_socket) {
            return -EEXIST;
        }
        evict(w->fd); /* that of a select on a foreign object with this number: it tries again */
    }
    int err = subscribe(e, w->fd, events);
    e->watch = err < 0 ? NULL : w;
    if (e->ready & events) {
        heat(w->fd);
    }
    return err;
}

struct watch *poller_watch_of(int fd) {
    struct entry *e = known(fd);
    return e ? e->watch : NULL;
}

/* Switches to level-triggered: foreign code may now read from the descriptor, or close it. */
void poller_expose(int fd) {
    struct entry *e = known(fd);
    if (e == NULL || !e->own) {
        return;
    }
    struct watch *w = e->watch;
    if (e->mode == EDGE) {
        unsubscribe(e, fd);
    }
    *e = (struct entry){.watch = w};
    if (w != NULL && subscribe(e, fd, w->armed) < 0) {
        evict(fd);
    }
}

/* ---- what the system calls have found out ---- */

/* If the number still has a watch, foreign code has closed its descriptor: evict it. */
int poller_made(int fd, bool own) {
    evict(fd);
    struct entry *e = entry_of(fd);
    if (e == NULL) {
        return -ENOMEM;
    }
    *e = (struct entry){.own = own};
    return 0;
}

bool poller_owns(int fd) {
    struct entry *e = known(fd);
    return e != NULL && e->own;
}

void poller_closing(int fd) {
    struct entry *e = known(fd);
    if (e != NULL) {
        *e = (struct entry){0};
    }
}

void poller_blocked(int fd, int events) {
    struct entry *e = known(fd);
    if (e != NULL) {
        e->ready &= (unsigned char)~events;
        e->doubtful = e->doubtful && !(events & POLLIN);
    }
}

void poller_emptied(int fd, int events) {
    struct entry *e = known(fd);
    if (e != NULL && !e->doubtful) {
        e->ready &= (unsigned char)~events;
    }
}

/* ---- events ---- */

/* Notifies the watch; true if it has asked for what is ready. Its flush may close the number. */
static inline bool tell(int fd) {
    struct watch *w = poller.entries[fd].watch;
    int events = w != NULL ? poller.entries[fd].ready & w->armed : 0;
    if (events == 0) {
        return false;
    }
    watch_ready(w, events);
    heat(fd);
    return true;
}

/* `hot` could not hold all that were notified in the last turn: try every entry. */
static __attribute__((cold, noinline)) bool tell_all(void) {
    bool any = false;
    for (size_t fd = 0; fd < poller.size; fd++) {
        any = (!poller.entries[fd].hot && tell((int)fd)) || any;
    }
    return any;
}

/* Notifies again those that were notified in the last turn and are still ready. True: any was. */
static bool tell_again(void) {
    size_t count = poller.hot_count;
    bool any = false, overflow = poller.overflow;
    poller.overflow = false;
    poller.hot_count = 0;
    for (size_t i = 0; i < count; i++) { /* each appends itself at most once: behind what is read */
        poller.entries[poller.hot[i]].hot = false;
        any = tell(poller.hot[i]) || any;
    }
    return overflow ? tell_all() || any : any;
}

static void on_event(int fd, uint32_t events) {
    struct entry *e = &poller.entries[fd];
    bool broken = events & (EPOLLERR | EPOLLHUP);
    int ready =
        (events & EPOLLIN || broken ? POLLIN : 0) | (events & EPOLLOUT || broken ? POLLOUT : 0);
    if (e->mode == EDGE) {
        e->doubtful = e->doubtful || broken || events & (EPOLLRDHUP | EPOLLPRI);
        e->ready |= (unsigned char)ready;
        tell(fd);
    } else if (e->watch != NULL && (ready & e->watch->armed)) {
        watch_ready(e->watch, ready & e->watch->armed);
    }
}

/* Sets the timerfd to the end of the ALARM_GRAIN in which `due` is, so that it is never early. */
void poller_alarm(uint64_t due) {
    uint64_t at = (due / ALARM_GRAIN + 1) * ALARM_GRAIN;
    struct itimerspec once = {.it_value = {(time_t)(at / SECOND), (long)(at % SECOND)}};
    timerfd_settime(poller.alarm, TFD_TIMER_ABSTIME, &once, NULL);
}

/* libuv's timeout is 0 when it has something to do, or to change in its own set, at once. (It is
 * never positive: we use none of its timers.) */
void driver_kernel_turn(bool wait) {
    struct epoll_event events[EVENTS_PER_TURN];
    bool libuv = uv_backend_timeout(&rt.loop) == 0, alarm = false;
    bool now = tell_again() || libuv || !wait;
    int n = epoll_wait(poller.set, events, EVENTS_PER_TURN, now ? 0 : -1);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd >= 0) {
            on_event(fd, events[i].events);
        } else {
            libuv = libuv || fd == LIBUV;
            alarm = alarm || fd == ALARM;
        }
    }
    if (libuv) {
        uv_run(&rt.loop, UV_RUN_NOWAIT);
    }
    if (alarm) {
        clock_fire();
    }
}

/* ---- open and close ---- */

static void nothing(uv_prepare_t *prepare) {
    (void)prepare;
}

/* The timerfd is edge-triggered: each expiry is reported once, and it is never read. */
static int open_set(void) {
    struct epoll_event libuv = {.events = EPOLLIN, .data = {.fd = LIBUV}};
    struct epoll_event alarm = {.events = EPOLLIN | EPOLLET, .data = {.fd = ALARM}};
    poller.set = epoll_create1(EPOLL_CLOEXEC);
    poller.alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bool opened = poller.set >= 0 && poller.alarm >= 0 &&
                  epoll_ctl(poller.set, EPOLL_CTL_ADD, uv_backend_fd(&rt.loop), &libuv) == 0 &&
                  epoll_ctl(poller.set, EPOLL_CTL_ADD, poller.alarm, &alarm) == 0;
    return opened ? 0 : -errno;
}

static void close_set(void) {
    close(poller.set);
    close(poller.alarm);
}

int driver_kernel_open(void) {
    uv_prepare_init(&rt.loop, &poller.alive);
    uv_prepare_start(&poller.alive, nothing);
    return open_set();
}

int poller_fork(void) {
    for (size_t fd = 0; fd < poller.size; fd++) {
        poller.entries[fd].mode = UNREGISTERED;
    }
    close_set();
    int err = open_set();
    if (err == 0 && rt.clock.alarm != NEVER) {
        poller_alarm(rt.clock.alarm);
    }
    return err;
}

void driver_kernel_close(void) {
    close_set();
    memory_free(poller.entries);
    memory_free(poller.hot);
    memset(&poller, 0, sizeof(poller));
}
