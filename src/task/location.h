/* SPDX-License-Identifier: MIT
 *
 * Where in a script something came from, in eight bytes: see location.c.
 */
#ifndef LARIAT_LOCATION_H
#define LARIAT_LOCATION_H

#include <lua.h>
#include <stdbool.h>

struct location {
    unsigned file; /* 0: unknown; else 1 + its index in location.c's table */
    int line;
};

struct location location_here(lua_State *L); /* the script's line that is being run */
struct location location_of_function(lua_State *L, int index); /* where a Lua function begins */
/* The script's line where a coroutine is, and the level of its frame; -1: there is none. */
int location_of_coroutine(lua_State *co, struct location *p);
/* Is this frame, filled in by lua_getstack, the script's own Lua code? Gets its "S" and "l". */
bool place_is_script(lua_State *L, lua_Debug *frame);
void location_push(lua_State *L, struct location p);   /* "file:line", or "?" */
int location_error(lua_State *L, const char *message); /* raises it, with location_here in front */
int location_argerror(lua_State *L, int arg, const char *message); /* as luaL_argerror, likewise */
/* The same, and the reason behind it. */
int place_argerror_for(lua_State *L, int arg, const char *message, const char *reason);
/* The userdata of that type which a method was called on, at index 1; raises if it is none. */
void *place_check_self(lua_State *L, const char *type);
void location_close(void);

#endif
