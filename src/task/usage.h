/* SPDX-License-Identifier: MIT
 *
 * Hints in usage errors: a call with a colon instead of a dot, and a name that was probably meant.
 */
#ifndef LARIAT_USAGE_H
#define LARIAT_USAGE_H

#include <lua.h>

/* For functions of modules: raises if argument 1 is one of our modules, as it is when the
 * function is called with a colon. `expected` names the type that the argument should have. */
void usage_check_dot(lua_State *L, const char *expected);

/* Replaces the table on top, whose keys are the existing names, by a hint on the unknown `name`:
 * ": did you mean 'x'?" or "". Returns that string. May raise (memory). */
const char *usage_push_hint(lua_State *L, const char *name);

/* Pushes the function `name` of one of our Lua modules; loads the module if necessary. May
 * raise. */
void usage_push_function(lua_State *L, const char *module, const char *name);

#endif
