/* SPDX-License-Identifier: MIT
 *
 * Line editing for the prompt: GNU readline edits a line of the terminal while the other tasks go on.
 * The terminal is changed only while a task is in read(). There is one terminal, so one task reads at a
 * time.
 */
#ifndef LARIAT_READLINE_H
#define LARIAT_READLINE_H

#include <lua.h>

/* Pushes the table lariat.core.readline: read, aside, history, remember. readline itself is loaded at
 * the first call of one that needs it. */
int readline_open(lua_State *L);

/* For teardown: gives the terminal back as it was found, and frees everything. May be called again. */
void readline_close(void);

#endif
