/* SPDX-License-Identifier: MIT
 *
 * What errors of usage say beside the fact: the colon that should be a dot, the name that was meant.
 */
#ifndef LARIAT_USAGE_H
#define LARIAT_USAGE_H

#include <lua.h>

/* For functions of modules. Raises if the first argument is the table of a module of ours, as it is
 * when the function is called with a colon; `expected` is the type that the argument should have. */
void usage_check_dot(lua_State *L, const char *expected);

/* With a table whose keys are the names there are on top, which is replaced: ": did you mean 'x'?", or
 * "", which is returned as well. May raise (memory). */
const char *usage_push_hint(lua_State *L, const char *name);

/* Pushes a function of one of our modules written in Lua, and loads that if need be. May raise. */
void usage_push_function(lua_State *L, const char *module, const char *name);

#endif
