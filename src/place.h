/* SPDX-License-Identifier: MIT
 *
 * Where in a script something came from, in eight bytes: see place.c.
 */
#ifndef LARIAT_PLACE_H
#define LARIAT_PLACE_H

#include <lua.h>
#include <stdbool.h>

struct place {
    unsigned file; /* 0: unknown; else 1 + its index in place.c's table */
    int line;
};

struct place place_here(lua_State *L);                   /* the script's line that is being run */
struct place place_of_function(lua_State *L, int index); /* where a Lua function begins */
/* The script's line where a coroutine is, and the level of its frame; -1: there is none. */
int place_of_coroutine(lua_State *co, struct place *p);
/* Is this frame, filled in by lua_getstack, the script's own Lua code? Gets its "S" and "l". */
bool place_is_script(lua_State *L, lua_Debug *frame);
void place_push(lua_State *L, struct place p);      /* "file:line", or "?" */
int place_error(lua_State *L, const char *message); /* raises it, with place_here in front */
int place_argerror(lua_State *L, int arg, const char *message); /* as luaL_argerror, likewise */
/* The same, and the reason behind it. */
int place_argerror_for(lua_State *L, int arg, const char *message, const char *reason);
/* The userdata of that type which a method was called on, at index 1; raises if it is none. */
void *place_check_self(lua_State *L, const char *type);
void place_close(void);

#endif
