/* SPDX-License-Identifier: MIT
 *
 * What every task and socket is doing: see dump.c.
 */
#ifndef LARIAT_DUMP_H
#define LARIAT_DUMP_H

#include <lua.h>
#include <stdbool.h>

void dump_push_text(lua_State *L,
                    bool all); /* for people; not `all`: a line a task. Never raises */
int dump_open(lua_State *L);   /* lariat.core.dump */

#endif
