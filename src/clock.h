/* SPDX-License-Identifier: MIT
 *
 * Time and deadlines. Both clocks, and the one alarm, are those of a time source: the kernel's, or
 * that of a simulation. A struct timer lives inside whatever has a deadline (a task, a drain) and is
 * a member of one binary heap, which sets the alarm.
 *
 * Invariant: a timer's heap key is never later than the moment it is due. Moving a deadline
 * forward, or dropping it, therefore touches nothing but the timer itself; the heap finds out when
 * the old key comes up. A timeout on every receive costs a clock reading and a store.
 */
#ifndef LARIAT_CLOCK_H
#define LARIAT_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

struct timer {
    uint64_t due; /* when to fire (monotonic ns); NEVER: not wanted */
    uint64_t key; /* what the heap believes; key <= due */
    size_t slot;  /* 1-based place in the heap; 0: not in it */
    void (*fire)(struct timer *timer);
};

struct time_source {
    uint64_t (*monotonic)(void); /* nanoseconds */
    double (*wall)(void);        /* seconds since the epoch */
    void (*alarm)(uint64_t due); /* calls clock_fire() at `due` or later; NEVER: not at all */
};

struct clock {
    const struct time_source *source;
    struct timer **heap; /* 1-based */
    size_t count, capacity;
    uint64_t alarm; /* when the source's alarm is set to ring; NEVER: it is not */
};

uint64_t clock_now(void);             /* monotonic time in nanoseconds, freshly read */
double clock_wall(void);              /* seconds since the epoch */
uint64_t clock_after(double seconds); /* now + seconds, saturating; negative means NEVER */
bool clock_reserve(size_t timers);    /* room for so many in the heap; false: there is no memory */
void timer_set(struct timer *timer, uint64_t due);
/* Both by the real clock, also while a simulation runs: for what is not part of it. */
uint64_t clock_now_outside(void);
void timer_set_outside(struct timer *timer, uint64_t due);
void timer_clear(struct timer *timer);  /* O(1): leaves a stale key behind */
void timer_remove(struct timer *timer); /* before the memory goes */
void clock_fire(void);                  /* the alarm rang: fire what is due */
void clock_close(void);

#endif
