/* SPDX-License-Identifier: MIT
 *
 * What will happen in a simulation, the virtual clock, and chance. See sim.h.
 */
#ifndef LARIAT_SIM_EVENT_H
#define LARIAT_SIM_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- events and time: sim_events.c ---- */

struct event {
    uint64_t due;
    uint64_t order; /* of events that are due together: as they were added */
    size_t slot;    /* 1-based place in the heap; 0: not in it */
    bool idle;      /* it brings nothing about by itself: not a reason to go on waiting for */
    void (*fire)(struct event *event);
    void (*drop)(
        struct event *event); /* instead, at the end of the run; NULL: its owner lives on */
};

void event_add(struct event *event, uint64_t due);
void event_remove(struct event *event);
bool events_step(void);      /* advances the clock and fires what is due then; false: nothing is */
uint64_t events_clock(void); /* what the clock says; looking again and again makes it go on */
void events_busy(void);      /* a tick at the same instant */
void events_close(void);

/* ---- chance: sim_random.c ---- */

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

void chance_open(uint64_t seed);
uint64_t chance_of(uint64_t seed, uint64_t n); /* the n-th number of a stream of its own */
bool chance_happens(enum chance stream, double probability);              /* draws either way */
uint64_t chance_between(enum chance stream, uint64_t low, uint64_t high); /* both included */

#endif
