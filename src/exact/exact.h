/* SPDX-License-Identifier: MIT
 *
 * An exact Lua state: one in which the same script does the same in every process. See exact.c.
 */
#ifndef LARIAT_EXACT_H
#define LARIAT_EXACT_H

#include <lua.h>
#include <stdbool.h>

bool exact_wanted(int argc, char **argv); /* whether this command line asks for one */
lua_State *exact_newstate(void);          /* NULL: it cannot be had here */
int fork_open(lua_State *L);              /* pushes lariat.core's `fork`: see fork.c */
int exact_open(lua_State *L);             /* pushes lariat.core's `exact` */

#endif
