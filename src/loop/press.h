/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C at the prompt: a press interrupts the code that the prompt's task runs, and does not end the
 * program. The SIGINT handler of interrupt.c calls this while there is a prompt. Functions marked
 * (handler) may be called in a signal handler.
 */
#ifndef LARIAT_PRESS_H
#define LARIAT_PRESS_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "task/task.h"

bool press_wanted(void);      /* (handler) is there a prompt, so that SIGINT is a press? */
void press_come(uint64_t at); /* (handler) SIGINT has come, at that time of watchdog_now() */
bool press_pending(void);     /* (handler) has a press come, and is control not back yet? */
void press_drop(void);        /* forgets all presses: the program ends */

/* Called by the hook, in the running coroutine L: raises "interrupted!" if the press is meant for the
 * running task. `busy` is the task that ran when the signal came; it is only compared. */
void press_interrupt(lua_State *L, const struct task *busy);

/* Called by the loop, between ticks: interrupts the prompt's task if it waits. Never raises. */
void press_poll(void);

/* Functions for Lua: interruptible(task) makes a task the prompt's; guard(handler, f, ...) is
 * xpcall(f, handler, ...) in a task that is the prompt's meanwhile. */
int press_interruptible(lua_State *L);
int press_guard(lua_State *L);

#endif
