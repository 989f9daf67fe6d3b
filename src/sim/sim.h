/* SPDX-License-Identifier: MIT
 *
 * A network in memory, for tests: machines on one LAN, packets whose delays and losses are drawn from a
 * seed, and a clock that jumps to the next event when no task can run. `driver_sim` offers it as the
 * kernel's system calls, so everything above src/kernel/driver.h runs unchanged.
 *
 *   run.c       a run: a second scheduler over this driver, until the world's task has ended
 *   state.c     the state of the run under way
 *   events.c    the queue of events, virtual time
 *   random.c    seeded random numbers, one stream for each purpose
 *   machine.c   the machines: addresses, ports, tasks, crash
 *   network.c   links between machines, the way of every packet, faults
 *   rule.c      the script's function that decides about packets
 *   trace.c     the record of every packet, and its hash
 *   driver.c    the table of functions
 *   socket.c    sockets: descriptors, names, readiness
 *   path.c      the names of unix sockets
 *   lookup.c    the names of machines
 *   option.c    setsockopt and getsockopt
 *   stream.c    streams: what calls and packets do to one end
 *   connect.c   how streams begin: listen, connect, accept, refuse
 *   flow.c      one direction of a stream: bytes, windows, retransmission
 *   datagram.c  UDP and unix datagrams
 *   group.c     broadcast and multicast
 *   globals.c   globals of their own for machines that run scripts
 *   lua.c       the table lariat.core.sim
 *
 * Invariant: no decision here depends on the real clock, the real network or an address in memory, so a
 * seed decides the whole run.
 */
#ifndef LARIAT_SIM_H
#define LARIAT_SIM_H

#include <lua.h>
#include <stdbool.h>

struct driver;
struct lookup;
struct task;
struct time_source;

#define SIM_DOMAINS 0x1000000u /* domain SIM_DOMAINS + n is machine n; lower ones are the tests' */

extern const struct driver driver_sim;
extern const struct time_source time_sim;

/* os.exit on the machine of the running task: cancels the machine's tasks and raises the cancellation;
 * its program ends with `status`. */
int sim_exit(lua_State *L, int status);

/* Pushes the table lariat.core.sim. `open_globals` adds to fresh globals all that a script finds there
 * besides Lua's libraries; it is called once for each machine that runs a script. */
int sim_open_module(lua_State *L, void (*open_globals)(lua_State *L));

/* ---- the members of `struct world` (base/world.h) and of driver_sim ---- */

bool sim_contains(const struct task *task);    /* is the task one of the simulation's? */
void sim_task_began(const struct task *task);  /* counts it with its machine */
void sim_task_enters(const struct task *task); /* puts its machine's globals in force */
void sim_task_ended(const struct task *task);  /* the last one ends its machine's program */
const char *sim_hostname(void);                /* the name of the running task's machine */
int *sim_resolver(void);                       /* what that machine knows of names */
uint64_t sim_random(void);                     /* 64 bits that the seed decides */
bool sim_hides_terminals(void); /* does the running task's machine have streams of its own? */

/* A new simulated descriptor for standard stream 0, 1 or 2; -1: the machine runs a function, which
 * shares the real streams. */
int sim_standard(int number);

/* Looks a name or address up among the machines, and calls lookup->ended after LOOKUP_NS. Returns 0. */
int sim_lookup(struct lookup *lookup);

#endif
