/* SPDX-License-Identifier: MIT
 *
 * Interrupts code that does not wait: SIGINT, SIGTERM, SIGPIPE, a test's time limit and the limits of
 * teardown take effect in a running loop as well. First an error is raised in the running coroutine;
 * if that does not help, the process is killed.
 *
 * A caller may rely on this: between interrupt_open() and interrupt_close() those signals never end
 * the process before the `<close>` variables had time to run, unless no Lua code runs at all.
 */
#ifndef LARIAT_INTERRUPT_H
#define LARIAT_INTERRUPT_H

#include <lua.h>
#include <stdint.h>

/* Installs the handlers of SIGINT, SIGTERM, SIGALRM, SIGUSR1 and SIGPIPE. Needs rt.loop. */
void interrupt_open(void);

/* Sets those signals back to their default actions, and drops every limit. */
void interrupt_close(void);

/* Installs our handler of signal `number` again, after the last watch of it by a script was closed.
 * Does nothing for a signal that we do not handle. */
void interrupt_restore(int number);

/* Called by the loop, between ticks: carries out what signals have asked for. May write to standard
 * error and run Lua code (the dump); never raises. */
void interrupt_poll(void);

/* For teardown: from `ns` nanoseconds on, stops the code that runs, whatever it is by then; 0: no
 * longer does. */
void interrupt_after(uint64_t ns);

/* For teardown: all tasks have ended, and only the state is left to close. A signal now kills the
 * process without a message. */
void interrupt_unwound(void);

/* Pushes the table lariat.core.interrupt: limit, remember, interruptible, guard, ending. */
int interrupt_open_module(lua_State *L);

#endif
