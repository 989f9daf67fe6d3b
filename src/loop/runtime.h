/* SPDX-License-Identifier: MIT
 *
 * The runtime's life: open, run, close, in that order and once each. One program has one runtime,
 * whose state is the global `rt`.
 */
#ifndef LARIAT_RUNTIME_H
#define LARIAT_RUNTIME_H

#include <lua.h>

/* Opens the loop, the driver, the signal handlers and the state: L, which the runtime closes in the
 * end, or one of its own for NULL. Ends the program with a message if that fails. */
void runtime_open(lua_State *L);

/* Runs the tasks that are ready, flushes what they sent, frees the sockets that they closed. Never
 * waits. Does nothing when called inside a tick. */
void runtime_tick(void);

/* Ticks and polls until every task has ended, or rt.exiting is set. */
void runtime_run(void);

/* Tears everything down, in bounded time: cancels tasks, closes sockets, lets output drain, closes the
 * state. `close_handles` is called before the state is closed, and closes the libuv handles of floors
 * above. Returns the exit status; does not return if a signal has asked for the end, or if a name
 * lookup is still in flight. */
int runtime_close(void (*close_handles)(void));

#endif
