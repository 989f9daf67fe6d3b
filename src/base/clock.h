/* SPDX-License-Identifier: MIT
 *
 * Time and timers. A time source (the kernel, or a simulation) has a monotonic clock, a wall clock
 * and one alarm. A struct timer is embedded in whatever has a deadline (a task, a scope, a closing
 * socket) and is a member of one binary heap, which sets the alarm.
 *
 * Invariant: a timer's key in the heap is never later than the time it is due. So postponing or
 * clearing a deadline writes only the timer itself; the heap is corrected when the old key comes
 * up. A timeout on every receive costs a clock reading and a store.
 */
#ifndef LARIAT_CLOCK_H
#define LARIAT_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

struct timer {
    uint64_t due;                      /* when to fire (monotonic ns); NEVER: not set */
    uint64_t key;                      /* its order in the heap; key <= due */
    size_t slot;                       /* 1-based index in the heap; 0: not in it */
    void (*fire)(struct timer *timer); /* called by clock_fire; may set timers, must not raise */
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

/* Time of the current source; virtual while a simulation runs. None of these fails. */
uint64_t clock_now(void);             /* monotonic nanoseconds, read anew at each call */
double clock_wall(void);              /* seconds since the epoch */
uint64_t clock_after(double seconds); /* now + seconds; NEVER if negative, nan or above 1e9 */

/* Before `timers` tasks can each set a timer: makes the heap large enough. False: no memory. */
bool clock_reserve(size_t timers);

/* Fires at `due` (monotonic ns) instead of any earlier setting; NEVER: not at all. The struct
 * must neither move nor be freed before timer_remove. */
void timer_set(struct timer *timer, uint64_t due);

/* The same two by the real clock, also while a simulation runs: for what is not part of it. */
uint64_t clock_now_outside(void);
void timer_set_outside(struct timer *timer, uint64_t due);

void timer_clear(struct timer *timer);  /* does not fire, but may stay in the heap; O(1) */
void timer_remove(struct timer *timer); /* leaves the heap: required before its memory is freed */
void clock_fire(void);                  /* called by the source's alarm: fires what is due */
void clock_close(void);                 /* frees the heap; it is empty, or the program is closing */

#endif
