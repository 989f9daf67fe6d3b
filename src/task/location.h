/* SPDX-License-Identifier: MIT
 *
 * Source locations: where in a script something was created, in eight bytes, without allocation;
 * and errors that name the script's line instead of one of our own Lua code that is between.
 *
 * Invariant: a location stays valid until location_close. Frames of C functions and of the
 * program's own Lua code (lua/) are skipped. Taking a location never raises; it is unknown (file 0)
 * if there is no frame of the script, or the table of file names is full.
 */
#ifndef LARIAT_LOCATION_H
#define LARIAT_LOCATION_H

#include <lua.h>
#include <stdbool.h>

struct location {
    unsigned file; /* 0: unknown; else the number of the file's name */
    int line;
};

/* The script's line that runs now; called from a C function. */
struct location location_here(lua_State *L);

/* Where the function at `index` begins; unknown for a C function. */
struct location location_of_function(lua_State *L, int index);

/* Sets `*p` to the script's line in which a coroutine is suspended and returns the level of that
 * frame; -1: there is none, and `*p` is unchanged. */
int location_of_coroutine(lua_State *co, struct location *p);

/* Whether a frame of lua_getstack is the script's own Lua code. Fills in what "Sl" gives. */
bool location_is_script(lua_State *L, lua_Debug *frame);

/* Pushes "file:line", or "?" if the location is unknown. May raise (memory). */
void location_push(lua_State *L, struct location p);

/* Raises `message` with the location of location_here in front. */
int location_error(lua_State *L, const char *message);

/* Raises "bad argument #arg to 'f' (message)" as luaL_argerror, located as by location_error. */
int location_argerror(lua_State *L, int arg, const char *message);

/* The same, followed by ": " and the reason unless that is NULL. */
int place_argerror_for(lua_State *L, int arg, const char *message, const char *reason);

/* For methods: the userdata at index 1 if it is of this type; else raises a bad-self error. */
void *location_check_self(lua_State *L, const char *type);

/* Frees the table of file names: locations become invalid. */
void location_close(void);

#endif
