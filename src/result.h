/* SPDX-License-Identifier: MIT
 *
 * How the network's failures reach a script: nil and a message in LuaSocket's words.
 */
#ifndef LARIAT_RESULT_H
#define LARIAT_RESULT_H

#include <lua.h>

const char *result_message(int err);        /* errno -> "closed", "connection refused", ... */
const char *result_watch_message(int err);  /* the same, of what could not be waited for */
const char *result_lookup_message(int err); /* EAI_* or UV_EAI_* -> "host not found", ... */
int result_fail(lua_State *L, int err);     /* nil, message; err may be errno or -errno */
int result_error(lua_State *L, const char *message); /* nil, message */
int result_ok(lua_State *L, int err);                /* 1, or nil, message when err < 0 */

#endif
