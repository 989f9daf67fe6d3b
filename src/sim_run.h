/* SPDX-License-Identifier: MIT
 *
 * A run of the simulation and what it keeps. See sim.h.
 */
#ifndef LARIAT_SIM_RUN_H
#define LARIAT_SIM_RUN_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim_event.h"
#include "sim_machine.h"
#include "sim_network.h"

#define SIM_BOOT 1000000000u /* not 0, which means "not yet" in deadlines */

struct simulation {
    bool over;    /* the run is to end */
    uint64_t now; /* nanoseconds; begins at SIM_BOOT */
    double epoch; /* the wall clock at SIM_BOOT */
    uint64_t events, max_events, max_time;
    struct machine **machines; /* the first is the world */
    unsigned machine_count;
    struct faults faults;
    struct event alarm;
    char *failure; /* why it ended, if something here had to end it; else NULL */
};

extern struct simulation sim;

int sim_run(lua_State *L, const struct simulation *options, uint64_t seed);
/* The run cannot go on; the first reason counts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- globals of machines that run scripts: sim_globals.c ---- */

void globals_fill_with(void (*open)(lua_State *L)); /* of a machine: called for each */
void globals_open(lua_State *L);
void globals_close(lua_State *L);
void globals_make(lua_State *L, struct machine *machine); /* pushes them */

#endif
