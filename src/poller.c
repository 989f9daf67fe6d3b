/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors, by one epoll set. libuv's own set is a member of it: libuv runs when
 * something of its kind has happened (a name was found, a signal or a child's end has come), and
 * has no part in the turns between. The alarm is a member, too, a timerfd: no turn reads a clock to
 * know how long to wait or whether it is time.
 *
 * An internet socket that nobody else knows of is registered once, edge-triggered and for both
 * directions, and costs no further epoll_ctl while it lives; closing it ends the registration. All
 * others are level-triggered and registered only while somebody asks for them: what foreign code
 * does with them is not known here.
 *
 * Invariants: a number has one owner at a time, the watch that armed it last and has not been
 * stopped. Whatever the kernel's way, an owner sees levels: `ready` holds what was reported and no
 * system call has contradicted since, and who has asked for it is told again in every turn. An
 * event is no more than a hint, so one that comes late, for a number that was closed, is harmless.
 *
 * A uv_poll_t for each number was rejected: it is level-triggered, so that the kernel looks at
 * every ready socket twice, and costs 170 bytes and up to two system calls for each arming.
 */
#include "poller.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "driver.h"
#include "runtime.h"
#include "watch.h"

#define EVENTS_PER_TURN 256       /* then the ready tasks run */
#define ALARM_GRAIN (1000 * 1000) /* ns: many deadlines that are close together are one alarm */
#define SECOND (1000 * 1000 * 1000)

/* Members of the set that are nobody's number, as they are named in events. */
enum { LIBUV = -1, ALARM = -2 };

enum mode { UNREGISTERED, LEVEL, EDGE };

struct entry {
    struct watch *owner; /* NULL: nobody asks for this number */
    unsigned char mode;
    unsigned char ready; /* EDGE: POLLIN | POLLOUT as far as we know */
    bool own;            /* an internet socket that nobody else knows of: EDGE once asked for */
    bool doubtful;       /* EDGE: an end, an error or urgent data may lie behind a short read */
    bool hot;            /* in the list of those to look at in the next turn */
};

static struct {
    int set, alarm;        /* the epoll descriptor, and the timerfd */
    uv_prepare_t alive;    /* keeps libuv from saying that it has nothing to wait for */
    struct entry *entries; /* by descriptor number */
    size_t size;
    int *hot; /* EDGE numbers whose owner may have to be told again */
    size_t hot_count, hot_capacity;
    bool overflow; /* there was no memory for all of them: look at every number */
} poller;

/* ---- entries ---- */

static struct entry *known(int fd) {
    return fd >= 0 && (size_t)fd < poller.size ? &poller.entries[fd] : NULL;
}

/* Numbers up to `index` have an entry. False: there is no memory. */
static bool grow(size_t index) {
    size_t size = poller.size ? poller.size : 64;
    while (size <= index) {
        size *= 2;
    }
    struct entry *entries = runtime_try_zeroed(size * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    if (poller.size > 0) {
        memcpy(entries, poller.entries, poller.size * sizeof(*entries));
    }
    runtime_free(poller.entries);
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
    int *hot = runtime_try(poller.hot, capacity * sizeof(*hot));
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

/* The kernel forgets a number when it is closed, perhaps by others and behind our back. */
static int enlist(int fd, uint32_t events, bool again) {
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    int err = epoll_ctl(poller.set, again ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (err < 0 && errno == (again ? ENOENT : EEXIST)) {
        err = epoll_ctl(poller.set, again ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    }
    return err < 0 ? -errno : 0;
}

static void unsubscribe(struct entry *e, int fd) {
    epoll_ctl(poller.set, EPOLL_CTL_DEL, fd, NULL); /* fails if others have closed it */
    e->mode = UNREGISTERED;
}

/* 0; or -errno, and it is not registered. */
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
        unsubscribe(e, fd); /* else it would go on reporting what nobody has asked for */
    }
    return err;
}

/* Tells the owner that it has lost the number. */
static void evict(int fd) {
    struct watch *stale = poller_owner(fd);
    if (stale != NULL) {
        poller.entries[fd].owner = NULL;
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
        if (e->owner == w) {
            e->owner = NULL;
            if (e->mode == LEVEL) {
                unsubscribe(e, w->fd);
            }
        }
        return 0;
    }
    if (e->owner != NULL && e->owner != w) {
        if (!w->is_socket || e->owner->is_socket) {
            return -EEXIST;
        }
        evict(w->fd); /* a select found the number by another object's getfd: it joins us */
    }
    int err = subscribe(e, w->fd, events);
    e->owner = err < 0 ? NULL : w;
    if (e->ready & events) {
        heat(w->fd);
    }
    return err;
}

struct watch *poller_owner(int fd) {
    struct entry *e = known(fd);
    return e ? e->owner : NULL;
}

/* From now on others may read from it, or close it. */
void poller_expose(int fd) {
    struct entry *e = known(fd);
    if (e == NULL || !e->own) {
        return;
    }
    struct watch *w = e->owner;
    if (e->mode == EDGE) {
        unsubscribe(e, fd);
    }
    *e = (struct entry){.owner = w};
    if (w != NULL && subscribe(e, fd, w->armed) < 0) {
        evict(fd);
    }
}

/* ---- what the system calls know ---- */

/* Who still watches the number of a new descriptor had a foreign one, closed under it. */
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

/* The owner's flush may close the number. */
static inline bool tell(int fd) {
    struct watch *w = poller.entries[fd].owner;
    int events = w != NULL ? poller.entries[fd].ready & w->armed : 0;
    if (events == 0) {
        return false;
    }
    watch_ready(w, events);
    heat(fd);
    return true;
}

/* There was no memory to remember who was told in the last turn. */
static __attribute__((cold, noinline)) bool tell_all(void) {
    bool any = false;
    for (size_t fd = 0; fd < poller.size; fd++) {
        any = (!poller.entries[fd].hot && tell((int)fd)) || any;
    }
    return any;
}

/* Who was told in the last turn is told again if it is still so. */
static bool tell_again(void) {
    size_t count = poller.hot_count;
    bool any = false, overflow = poller.overflow;
    poller.overflow = false;
    poller.hot_count = 0;
    for (size_t i = 0; i < count; i++) { /* each adds itself at most once: behind what is read */
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
    } else if (e->owner != NULL && (ready & e->owner->armed)) {
        watch_ready(e->owner, ready & e->owner->armed);
    }
}

/* The alarm rings once, and not before `due`; another one set meanwhile takes its place. */
void poller_alarm(uint64_t due) {
    uint64_t at = (due / ALARM_GRAIN + 1) * ALARM_GRAIN;
    struct itimerspec once = {.it_value = {(time_t)(at / SECOND), (long)(at % SECOND)}};
    timerfd_settime(poller.alarm, TFD_TIMER_ABSTIME, &once, NULL);
}

/* libuv's timeout is 0 when it has something to do, or to tell its own set, at once: none of its
 * timers is ours. */
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

static void nothing(uv_prepare_t *handle) {
    (void)handle;
}

/* The alarm is edge-triggered: it tells of each ringing once and is never read. */
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
    runtime_free(poller.entries);
    runtime_free(poller.hot);
    memset(&poller, 0, sizeof(poller));
}
