/* SPDX-License-Identifier: MIT
 *
 * The events of a simulation, and the clock that jumps from one to the next. An event is a member of
 * whatever it is about (a packet, an alarm), and is kept in one binary heap, ordered by due time and
 * then by the order in which events were added.
 *
 * Invariant: time never runs backwards, and only this file changes it. A task that reads the clock in
 * a loop, or gives way in a loop, would otherwise never see time pass: after FREE_LOOKS of either at
 * one instant, each further one takes a microsecond.
 */
#include "sim/event.h"

#include "base/memory.h"
#include "sim/run.h"

#define FREE_LOOKS 10000
#define LOOK_NS 1000

static struct {
    struct event **heap; /* 1-based */
    size_t count, capacity;
    size_t idle;    /* how many of them are idle */
    uint64_t added; /* how many were ever added */
    unsigned looks; /* clock readings and ticks at the present instant */
} queue;

static bool before(const struct event *a, const struct event *b) {
    return a->due != b->due ? a->due < b->due : a->order < b->order;
}

static void put(size_t slot, struct event *event) {
    queue.heap[slot] = event;
    event->slot = slot;
}

static void sift_up(struct event *event) {
    size_t slot = event->slot;
    while (slot > 1 && before(event, queue.heap[slot / 2])) {
        put(slot, queue.heap[slot / 2]);
        slot /= 2;
    }
    put(slot, event);
}

static void sift_down(struct event *event) {
    size_t slot = event->slot;
    for (;;) {
        size_t child = slot * 2;
        if (child > queue.count) {
            break;
        }
        if (child < queue.count && before(queue.heap[child + 1], queue.heap[child])) {
            child++;
        }
        if (!before(queue.heap[child], event)) {
            break;
        }
        put(slot, queue.heap[child]);
        slot = child;
    }
    put(slot, event);
}

void event_add(struct event *event, uint64_t due) {
    if (queue.count + 1 >= queue.capacity) {
        queue.capacity = queue.capacity ? 2 * queue.capacity : 256;
        queue.heap = memory_realloc(queue.heap, queue.capacity * sizeof(*queue.heap));
    }
    event->due = due > sim.now ? due : sim.now;
    event->order = queue.added++;
    queue.idle += event->idle;
    put(++queue.count, event);
    sift_up(event);
}

void event_remove(struct event *event) {
    size_t slot = event->slot;
    if (slot == 0) {
        return;
    }
    event->slot = 0;
    queue.idle -= event->idle;
    struct event *last = queue.heap[queue.count--];
    if (last != event) {
        put(slot, last);
        sift_up(last);
        sift_down(last);
    }
}

static void advance(uint64_t to) {
    if (to > sim.now) {
        sim.now = to;
        queue.looks = 0;
    }
}

/* Has the run ended, or does it end now because max_events or max_time is exceeded? */
static bool past_limits(uint64_t due) {
    if (sim.events >= sim.max_events) {
        sim_fail("still running after %llu events (max_events), at %.6f s",
                 (unsigned long long)sim.max_events, (double)(sim.now - SIM_BOOT) / 1e9);
    } else if (due > sim.max_time) {
        sim_fail("still running after %.6g s (max_time)", (double)(sim.max_time - SIM_BOOT) / 1e9);
    }
    return sim.over;
}

bool events_step(void) {
    if (queue.count == queue.idle) {
        return false;
    }
    uint64_t due = queue.heap[1]->due;
    if (past_limits(due)) {
        return true;
    }
    advance(due);
    while (queue.count > 0 && queue.heap[1]->due <= due) {
        struct event *event = queue.heap[1];
        event_remove(event);
        sim.events++;
        event->fire(event);
    }
    return true;
}

/* Ticks count as events, so that max_events also ends tasks that wake each other for ever. */
void events_busy(void) {
    if (++queue.looks > FREE_LOOKS) {
        sim.now += LOOK_NS;
    }
    sim.events++;
    past_limits(sim.now);
}

uint64_t events_clock(void) {
    if (++queue.looks > FREE_LOOKS) {
        sim.now += LOOK_NS;
    }
    return sim.now;
}

void events_close(void) {
    for (size_t slot = 1; slot <= queue.count; slot++) {
        struct event *event = queue.heap[slot];
        if (event->drop != NULL) {
            event->drop(event);
        }
    }
    memory_free(queue.heap);
    queue.heap = NULL;
    queue.count = queue.capacity = queue.idle = 0;
    queue.added = 0;
    queue.looks = 0;
}
