/* SPDX-License-Identifier: MIT
 *
 * An exact Lua state: one in which the same script does the same in every process. The seed of hashes
 * and the addresses of objects are the same each time, and so is the order of `pairs`. Simulations need
 * one. Copies of a process with such a state (fork.c) run one seed each.
 */
#ifndef LARIAT_EXACT_H
#define LARIAT_EXACT_H

#include <lua.h>
#include <stdbool.h>

/* Does this command line run something that may simulate: --sim, a test, or a script or chunk whose
 * text contains "lariat.sim"? Reads the script. */
bool exact_wanted(int argc, char **argv);

/* A new exact state, to be given to runtime_open(), which closes it; before any thread is started.
 * NULL: the fixed addresses are not to be had, and an ordinary state must do. */
lua_State *exact_newstate(void);

/* Pushes the table lariat.core.fork: copies of this process by fork(). Their functions block the whole
 * program. */
int fork_open(lua_State *L);

/* Pushes the table lariat.core.exact: begin and finish of a run, and whether the state is exact. */
int exact_open(lua_State *L);

#endif
