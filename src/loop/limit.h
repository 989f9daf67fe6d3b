/* SPDX-License-Identifier: MIT
 *
 * The time limit of a test: when it passes, in which task its error is raised, how often, and what is
 * reported if the test cannot be stopped. There is one limit at a time. When to raise is decided by
 * interrupt.c.
 *
 * Functions marked (handler) may be called in a signal handler. The others, but for limit_set(), are
 * called outside of handlers, and need no signals blocked.
 */
#ifndef LARIAT_LIMIT_H
#define LARIAT_LIMIT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "task/task.h"

/* The registry reference for limit_set(); LUA_NOREF for NULL. Frees the one before. May raise. */
int limit_reference(lua_State *L, struct task *task);

/* Sets the limit of the task behind `reference`: it passes at `due` (as watchdog_now()); NEVER: there
 * is no limit. `message` is copied; NULL keeps the one before. Call it with signals blocked. */
void limit_set(int reference, uint64_t due, const char *message);

uint64_t limit_due(void); /* (handler) when it passes, or is raised again; NEVER: no limit */

/* (handler) Marks the limit as pending if it has passed at `at`. True: it was not pending before. */
bool limit_look(uint64_t at);
bool limit_pending(void);        /* (handler) has it passed, and was its error not raised yet? */
const char *limit_message(void); /* (handler) lives until the next limit_set() */
struct task *limit_task(void);   /* NULL: there is no limit, or its task has ended */

/* The limit is no longer pending. True: the caller raises its error. False: that was done
 * LIMIT_REPEATS times, and the test is to be given up. */
bool limit_take(void);

/* Keeps what is reported if the test cannot be stopped: the function at stack index `give_up` (may be
 * nil) is called, or, where no Lua code can run, the text at index `report` (may be nil) is written.
 * Both are copied or anchored here. May raise. */
void limit_tell(lua_State *L, int report, int give_up);

/* Keeps a copy of a text that limit_say() writes last. */
void limit_remember(const char *text);

/* Calls the function of limit_tell(); without one, or if it fails, does what limit_say() does. */
void limit_report(lua_State *L);

/* (handler) Writes the message, the report and the remembered text to standard error. */
void limit_say(void);

#endif
