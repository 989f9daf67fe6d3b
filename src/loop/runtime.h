/* SPDX-License-Identifier: MIT
 *
 * The runtime's life: open, run, close, in that order. One program has one runtime.
 */
#ifndef LARIAT_RUNTIME_H
#define LARIAT_RUNTIME_H

#include <lua.h>

void runtime_open(lua_State *L); /* with a state that was made for it; NULL: with one of its own */
void runtime_tick(void);         /* run what is ready, flush, free */
void runtime_run(void);          /* until every task has ended or an exit was asked for */
/* Cancel, close, drain, free; returns the exit status. `close_handles` is called before the state is
 * closed: what else holds handles of the loop lets them go. */
int runtime_close(void (*close_handles)(void));

#endif
