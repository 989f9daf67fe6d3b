/* SPDX-License-Identifier: MIT
 *
 * A run of the simulation: its state, which all files of this folder share, and the globals of machines
 * that run scripts. There is one run at a time; it is under way while rt.world is not NULL.
 */
#ifndef LARIAT_SIM_RUN_H
#define LARIAT_SIM_RUN_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/event.h"
#include "sim/machine.h"
#include "sim/network.h"

#define SIM_BOOT 1000000000u /* not 0, which means "not yet" in deadlines */

struct simulation {
    bool over;                             /* the run is to end */
    uint64_t now;                          /* virtual nanoseconds; begins at SIM_BOOT */
    double epoch;                          /* the wall clock at SIM_BOOT, in seconds */
    uint64_t events, max_events, max_time; /* max_time as `now` */
    struct machine **machines;             /* the first is the world */
    unsigned machine_count;
    struct faults faults;
    struct event alarm; /* for the nearest deadline of a task */
    char *failure;      /* from sim_fail(): why the run has failed; else NULL */
};

extern struct simulation sim;

/* Runs the function on top of the stack as the world's task, until it has ended or the run is over, and
 * replaces it by: nil or why the run failed, the trace, the number of events, the seconds that passed.
 * Returns 4. Uses epoch, max_events, max_time and faults of the options. Raises if the task that calls it
 * is cancelled meanwhile, or without memory; the world outside is then as it was, too. */
int sim_run(lua_State *L, const struct simulation *options, uint64_t seed);

/* Ends the run as failed, after this tick. The message of the first call counts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- globals of machines that run scripts: globals.c ---- */

/* Sets the function that adds to fresh globals all that a script finds there besides Lua's libraries. */
void globals_fill_with(void (*open)(lua_State *L));
void globals_open(lua_State *L);  /* a run begins: keeps the globals in force. May raise (memory) */
void globals_close(lua_State *L); /* a run ends: those globals are in force again */

/* Gives the machine globals of its own, in place of those it has, and pushes them. May raise (memory). */
void globals_make(lua_State *L, struct machine *machine);

#endif
