/* SPDX-License-Identifier: MIT
 *
 * The modules that scripts can require, put together from the functions of all floors.
 */
#ifndef LARIAT_MODULE_H
#define LARIAT_MODULE_H

#include <lua.h>

/* Adds lariat's functions to the present globals (os.exit, coroutine, require, ...) and its modules to
 * package.preload; Lua's own libraries must be open. A simulation has several sets of globals, and calls
 * this for each. May raise (memory). */
void module_open_globals(lua_State *L);

/* For teardown, before the state is closed: closes the libuv handles of the prompt, of watches of
 * signals and of children. May wait two seconds for children. */
void module_close_all(void);

#endif
