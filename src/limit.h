/* SPDX-License-Identifier: MIT
 *
 * The time limit of a test: when it passes, in which task its error is raised, and how often. (handler):
 * for signal handlers, or with those blocked.
 */
#ifndef LARIAT_LIMIT_H
#define LARIAT_LIMIT_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "task.h"

/* The current task has until `due` (watchdog_now), NEVER: no limit. The message is NULL: as it
 * was. With signals blocked. */
void limit_set(int reference, uint64_t due, const char *message);
int limit_reference(lua_State *L, struct task *task); /* for that: may raise. NULL: none */
uint64_t limit_due(void);                             /* (handler) */
bool limit_look(uint64_t at);    /* (handler) true: it passes now, and is not pending yet */
bool limit_pending(void);        /* (handler) it has passed, and nothing has been done about it */
const char *limit_message(void); /* (handler) */
struct task *limit_task(void);   /* NULL: there is none, or it has ended */
/* Something is done about it now: true if its error is to be raised, false if the task has caught that
 * too often. */
bool limit_take(void);

/* What is told when the test cannot be stopped: the function at `give_up` (may be nil) is called, or,
 * where no Lua code can run, the text at `report` (may be nil) is written, and what is remembered. */
void limit_tell(lua_State *L, int report, int give_up);
void limit_remember(const char *text);
void limit_report(lua_State *L);
void limit_say(void); /* (handler) */

#endif
