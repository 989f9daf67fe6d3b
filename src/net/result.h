/* SPDX-License-Identifier: MIT
 *
 * Failures of the network, as scripts see them: nil and a message in LuaSocket's words.
 */
#ifndef LARIAT_RESULT_H
#define LARIAT_RESULT_H

#include <lua.h>

const char *result_message(int err);        /* errno or -errno: "closed", ... */
const char *result_watch_message(int err);  /* of watch_arm() */
const char *result_lookup_message(int err); /* EAI_*, UV_EAI_* or THREADS_NONE */

/* Push results and return how many: nil and a message; or 1 alone, if err is not negative. */
int result_fail(lua_State *L, int err); /* err: errno or -errno */
int result_error(lua_State *L, const char *message);
int result_ok(lua_State *L, int err);

#endif
