/* SPDX-License-Identifier: MIT
 *
 * Line editing for the prompt: a line is read by readline while the other tasks go on.
 */
#ifndef LARIAT_READLINE_H
#define LARIAT_READLINE_H

#include <lua.h>

int readline_open(lua_State *L); /* pushes what lariat.core has of it */
void readline_close(void);       /* the terminal is left as it was found; idempotent */

#endif
