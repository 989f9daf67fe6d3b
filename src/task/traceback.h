/* SPDX-License-Identifier: MIT
 *
 * Errors as text: their message, and the traceback of where they were raised.
 */
#ifndef LARIAT_TRACEBACK_H
#define LARIAT_TRACEBACK_H

#include <lua.h>
#include <stdbool.h>

/* Pushes the error at `index` as a string, as the program `lua` does: what its __tostring
 * returns, else "(error object is a table value)". True: it comes from __tostring. Raises only
 * for lack of memory. */
bool traceback_push_message(lua_State *L, int index);

/* Pushes `message` (NULL: none) and the traceback of the coroutine `of` from `level` on, as
 * luaL_traceback does, but ending at the script's outermost frame. */
void traceback_push(lua_State *L, lua_State *of, const char *message, int level);

/* ---- Lua functions, for lua/lariat ---- */
int traceback_message(lua_State *L); /* message(error) -> text, whether it is __tostring's */
int traceback_explain(lua_State *L); /* explain(error [, level]) -> message and traceback */

#endif
