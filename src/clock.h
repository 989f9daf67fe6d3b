/* SPDX-License-Identifier: MIT
 *
 * Deadlines. A struct timer lives inside whatever has a deadline (a task, a drain) and is a member
 * of one binary heap, which drives the driver's single alarm.
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

uint64_t clock_now(void);             /* monotonic time in nanoseconds, freshly read */
double clock_wall(void);              /* seconds since the epoch */
uint64_t clock_after(double seconds); /* now + seconds, saturating; negative means NEVER */
bool clock_reserve(size_t timers);    /* room for so many in the heap; false: there is no memory */
void timer_set(struct timer *timer, uint64_t due);
void timer_clear(struct timer *timer);  /* O(1): leaves a stale key behind */
void timer_remove(struct timer *timer); /* before the memory goes */
void clock_fire(void);                  /* the driver's alarm rang: fire what is due */
void clock_close(void);

#endif
