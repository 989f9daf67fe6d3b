/* SPDX-License-Identifier: MIT
 *
 * The modules that scripts can require, put together of what the floors offer.
 */
#ifndef LARIAT_MODULE_H
#define LARIAT_MODULE_H

#include <lua.h>

/* Puts into the globals, and into package.preload, what every script finds there. A simulation has
 * several sets of globals; each is filled by a call of its own. May raise (memory). */
void module_open_globals(lua_State *L);

/* Before the state is closed: what holds handles of the loop lets them go. */
void module_close_all(void);

#endif
