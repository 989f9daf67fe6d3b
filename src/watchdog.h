/* SPDX-License-Identifier: MIT
 *
 * SIGALRM: when it comes, whether the program has shown since that it lives, and how it is made to go
 * on or to end. What it comes for is interrupt.c's business. Functions marked (handler) are called by
 * signal handlers only, which block one another; the others block them meanwhile.
 */
#ifndef LARIAT_WATCHDOG_H
#define LARIAT_WATCHDOG_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define TICK_NS (50 * 1000 * 1000ull)

uint64_t watchdog_now(void);   /* monotonic, the world's also in a simulation; async-signal-safe */
sigset_t watchdog_block(void); /* every signal: the mask before */
void watchdog_unblock(const sigset_t *before); /* the mask again */
void watchdog_heard(void);                     /* the loop turns, or a hook runs */

void watchdog_handle(int number, void (*handler)(int)); /* also SIG_DFL, SIG_IGN */
/* SIGALRM at `due`, after TICK_NS if `soon`; NEVER: not at all. (handler, or blocked) */
void watchdog_arm(uint64_t due, bool soon);
void watchdog_listen(uint64_t at);     /* (handler) nothing can have been heard before */
uint64_t watchdog_deaf(uint64_t at);   /* (handler) for how long nothing has been heard */
void watchdog_break(void);             /* (handler) SIGALRM ends system calls, until heard() */
void watchdog_write(const char *text); /* to standard error; async-signal-safe */
_Noreturn void watchdog_die(int number, int status); /* by that signal, or 0; async-signal-safe */

#endif
