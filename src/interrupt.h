/* SPDX-License-Identifier: MIT
 *
 * What ends code that does not wait: see interrupt.c.
 */
#ifndef LARIAT_INTERRUPT_H
#define LARIAT_INTERRUPT_H

#include <lua.h>
#include <stdint.h>

void interrupt_open(void);          /* SIGINT, SIGTERM, SIGPIPE, SIGUSR1 */
void interrupt_close(void);         /* default actions again */
void interrupt_restore(int number); /* a script's watch of this signal has ended */
void interrupt_poll(void);          /* from the loop: act on what arrived */
void interrupt_after(uint64_t ns);  /* teardown: stop what runs then, and again; 0: do not */
void interrupt_unwound(void);       /* no task is left: what remains is to close the state */
int interrupt_open_module(lua_State *L);

#endif
