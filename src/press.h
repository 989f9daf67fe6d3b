/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C at the prompt: it interrupts what runs there, and ends nothing. See interrupt.c, which has the
 * signal. (handler): for signal handlers.
 */
#ifndef LARIAT_PRESS_H
#define LARIAT_PRESS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "task.h"

bool press_wanted(void);      /* (handler) there is a prompt: SIGINT is a press */
void press_come(uint64_t at); /* (handler) */
bool press_pending(void);     /* (handler) one has come, and control is not back yet */
void press_drop(void);        /* the program ends */
/* In a hook, of the running coroutine; `busy` ran when the signal came. May raise. */
void press_interrupt(lua_State *L, const struct task *busy);
void press_poll(void); /* from the loop */

/* ---- for lua/lariat ---- */
int press_interruptible(lua_State *L);
int press_guard(lua_State *L);

#endif
