/* SPDX-License-Identifier: MIT
 *
 * A network in memory, for tests: machines on one LAN, packets with a fate drawn from a seed, and a
 * clock that jumps to the next event when no task can run. `driver_sim` offers it as the kernel's
 * system calls, so everything above src/kernel/driver.h runs unchanged.
 *
 *   sim_run.c      a run: a second scheduler over this driver, until the world's task has ended
 *   sim_events.c   what will happen, in order; virtual time
 *   sim_random.c   the seeded streams of chance, one for each purpose
 *   sim_machine.c  the machines: addresses, ports, tasks, crash
 *   sim_network.c  links between machines and the fate of every packet
 *   sim_rule.c     what the script decides about packets
 *   sim_trace.c    the record of every packet, and its hash
 *   sim_driver.c   the table of functions
 *   sim_socket.c   sockets: descriptors, names, readiness
 *   sim_path.c     the names of unix sockets
 *   sim_lookup.c   the names of machines
 *   sim_option.c   what setsockopt and getsockopt remember
 *   sim_stream.c   streams: what calls and packets do to one end
 *   sim_connect.c  how streams begin: listen, connect, accept, refuse
 *   sim_flow.c     one direction of a stream: bytes, windows, retransmission
 *   sim_datagram.c UDP and unix datagrams
 *   sim_group.c    broadcast and multicast
 *   sim_globals.c  globals of their own for machines that run scripts
 *   sim_lua.c      what lua/lariat/sim.lua makes the API of
 *
 * Invariant: nothing here asks the real clock, the real network or an address in memory for a
 * decision, so a seed decides the whole run.
 */
#ifndef LARIAT_SIM_H
#define LARIAT_SIM_H

#include <lua.h>
#include <stdbool.h>

struct driver;
struct lookup;
struct task;
struct time_source;

/* What the rest of the runtime calls. */

#define SIM_DOMAINS 0x1000000u /* owner numbers from here on are machines: see dump.c */

extern const struct driver driver_sim;
extern const struct time_source time_sim;

int sim_exit(lua_State *L, int status); /* os.exit */
/* Pushes lariat.core.sim. `open_globals` fills fresh globals with all that a script finds there. */
int sim_open_module(lua_State *L, void (*open_globals)(lua_State *L));

/* What it installs: see world.h and driver.h. */

bool sim_contains(const struct task *task);
void sim_task_began(const struct task *task);  /* counted with its machine */
void sim_task_enters(const struct task *task); /* its machine's globals are put in force */
void sim_task_ended(const struct task *task);  /* the last one ends the machine's program */
const char *sim_hostname(void);
int *sim_resolver(void);
uint64_t sim_random(void);
int sim_standard(int number);
bool sim_hides_terminals(void);
int sim_lookup(struct lookup *lookup);

#endif
