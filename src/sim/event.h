/* SPDX-License-Identifier: MIT
 *
 * The queue of events of a simulation, its virtual clock, and its random numbers.
 *
 * A caller may rely on this: events fire in the order of their times, and those of one time in the
 * order in which they were added; the clock never runs backwards. The same seed gives the same numbers.
 * Nothing here raises or waits; running out of memory ends the program.
 */
#ifndef LARIAT_SIM_EVENT_H
#define LARIAT_SIM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- events and time: events.c ---- */

/* A member of the struct that the event is about, whose memory the caller manages. */
struct event {
    uint64_t due;   /* virtual nanoseconds */
    uint64_t order; /* counts the events added, and orders those that are due together */
    size_t slot;    /* 1-based index in the heap; 0: not in it */
    bool idle;      /* wakes no task by itself: if only such events are left, nothing can happen */
    void (*fire)(struct event *event);
    void (*drop)(struct event *event); /* called in place of fire at the end of the run, to free the
                                          struct; NULL: there is nothing to free */
};

/* Fires the event at `due`, or now if that is past. The event must not be in the heap. */
void event_add(struct event *event, uint64_t due);
void event_remove(struct event *event); /* does nothing if the event is not in the heap */

/* Advances the clock to the next event and fires all that are due then. False: no event is left that
 * could wake a task. Ends the run when max_events or max_time is exceeded. */
bool events_step(void);

/* Counts a tick at the same instant as the one before, as an event. */
void events_busy(void);

/* The time in virtual nanoseconds. A task that polls it sees it advance: see events.c. */
uint64_t events_clock(void);

void events_close(void); /* drops the events that are left */

/* ---- random numbers: random.c ---- */

/* One stream of numbers for each purpose: drawing from one does not change the others. */

enum chance {
    CHANCE_LATENCY,
    CHANCE_LOSS,
    CHANCE_DUPLICATE,
    CHANCE_REORDER,
    CHANCE_DELAY,
    CHANCE_SPLIT,
    CHANCE_PARTITION,
    CHANCE_PORTS,
    CHANCE_NAMES,
    CHANCES
};

void chance_open(uint64_t seed); /* starts all streams */

/* The n-th number of a further stream; needs no chance_open(). */
uint64_t chance_of(uint64_t seed, uint64_t n);

/* True with the given probability. Draws one number, also for probabilities 0 and 1. */
bool chance_happens(enum chance stream, double probability);

/* A number from low to high, both included. */
uint64_t chance_between(enum chance stream, uint64_t low, uint64_t high);

#endif
