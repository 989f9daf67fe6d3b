/* SPDX-License-Identifier: MIT
 *
 * The timers' binary heap; clock.h states its invariant. One libuv timer per wait was rejected:
 * starting and stopping one on every receive costs two heap operations.
 */
#include "base/clock.h"

#include <assert.h>

#include "base/memory.h"
#include "base/state.h"

#define SLACK 64 /* free slots beyond the tasks' timers, for all other timers */

uint64_t clock_now(void) {
    return rt.clock.source->monotonic();
}

double clock_wall(void) {
    return rt.clock.source->wall();
}

uint64_t clock_after(double seconds) {
    if (!(seconds >= 0) || seconds > 1e9) {
        return NEVER;
    }
    return clock_now() + (uint64_t)(seconds * 1e9);
}

/* ---- the heap: 1-based, keys grow from the root ---- */

static void put(struct clock *c, size_t slot, struct timer *timer) {
    c->heap[slot] = timer;
    timer->slot = slot;
}

static void sift_up(struct clock *c, struct timer *timer) {
    size_t slot = timer->slot;
    while (slot > 1 && c->heap[slot / 2]->key > timer->key) {
        put(c, slot, c->heap[slot / 2]);
        slot /= 2;
    }
    put(c, slot, timer);
}

static void sift_down(struct clock *c, struct timer *timer) {
    size_t slot = timer->slot;
    for (;;) {
        size_t child = slot * 2;
        if (child > c->count) {
            break;
        }
        if (child < c->count && c->heap[child + 1]->key < c->heap[child]->key) {
            child++;
        }
        if (c->heap[child]->key >= timer->key) {
            break;
        }
        put(c, slot, c->heap[child]);
        slot = child;
    }
    put(c, slot, timer);
}

static bool reserve(struct clock *c, size_t timers) {
    size_t capacity = c->capacity ? c->capacity : 64;
    while (capacity < timers + SLACK) {
        capacity *= 2;
    }
    struct timer **heap =
        capacity == c->capacity ? c->heap : memory_try(c->heap, capacity * sizeof(*c->heap));
    if (heap == NULL) {
        return false;
    }
    c->heap = heap;
    c->capacity = capacity;
    return true;
}

bool clock_reserve(size_t timers) {
    return reserve(&rt.clock, timers);
}

/* clock_reserve has made sure of a slot for every task's timer. Other timers are few; if there
 * is no memory for one, no caller could report it, and the process ends. */
static void insert(struct clock *c, struct timer *timer) {
    if (c->count + 1 >= c->capacity && !reserve(c, 2 * c->capacity)) {
        memory_checked(NULL, c->capacity);
    }
    put(c, ++c->count, timer);
    sift_up(c, timer);
}

/* Set the alarm to the heap's first key, unless it is set to ring no later already. */
static void arm(struct clock *c) {
    uint64_t first = c->count > 0 ? c->heap[1]->key : NEVER;
    if (first < c->alarm) {
        c->alarm = first;
        c->source->alarm(first);
    }
}

static void set(struct clock *c, struct timer *timer, uint64_t due) {
    timer->due = due;
    if (due == NEVER || (timer->slot != 0 && timer->key <= due)) {
        return;
    }
    timer->key = due;
    if (timer->slot == 0) {
        insert(c, timer);
    } else {
        sift_up(c, timer);
    }
    arm(c);
}

void timer_set(struct timer *timer, uint64_t due) {
    set(&rt.clock, timer, due);
}

static struct clock *outside(void) {
    return rt.outer_clock != NULL ? rt.outer_clock : &rt.clock;
}

uint64_t clock_now_outside(void) {
    return outside()->source->monotonic();
}

void timer_set_outside(struct timer *timer, uint64_t due) {
    set(outside(), timer, due);
}

void timer_clear(struct timer *timer) {
    timer->due = NEVER;
}

/* The clock whose heap this timer is in; during a simulation, that may be the real one. */
static struct clock *clock_of(const struct timer *timer) {
    bool present = timer->slot <= rt.clock.count && rt.clock.heap[timer->slot] == timer;
    return present ? &rt.clock : rt.outer_clock;
}

void timer_remove(struct timer *timer) {
    size_t slot = timer->slot;
    timer->due = NEVER;
    if (slot == 0) {
        return;
    }
    struct clock *c = clock_of(timer);
    timer->slot = 0;
    struct timer *last = c->heap[c->count--];
    if (last != timer) {
        put(c, slot, last);
        sift_up(c, last);
        sift_down(c, last);
    }
}

void clock_fire(void) {
    struct clock *c = &rt.clock;
    uint64_t now = clock_now();
    c->alarm = NEVER;
    while (c->count > 0 && c->heap[1]->key <= now) {
        struct timer *timer = c->heap[1];
        uint64_t due = timer->due;
        if (due != NEVER && due > now) {
            timer->key = due;
            sift_down(c, timer);
            continue;
        }
        timer_remove(timer);
        if (due != NEVER) {
            timer->fire(timer);
        }
    }
    arm(c);
}

void clock_close(void) {
    assert(rt.clock.count == 0 || rt.closing);
    memory_free(rt.clock.heap);
    rt.clock.heap = NULL;
    rt.clock.count = rt.clock.capacity = 0;
}
