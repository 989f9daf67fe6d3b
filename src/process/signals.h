/* SPDX-License-Identifier: MIT
 *
 * Signals by name: see signal.c. (A header called signal.h would hide the C library's.)
 */
#ifndef LARIAT_SIGNALS_H
#define LARIAT_SIGNALS_H

#include <lua.h>

int signal_check(lua_State *L, int index); /* "TERM" or "SIGTERM"; raises on anything else */
const char *signal_name(int number);       /* "TERM", or NULL */

#endif
