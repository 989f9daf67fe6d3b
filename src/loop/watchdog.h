/* SPDX-License-Identifier: MIT
 *
 * SIGALRM and the watchdog: when the signal comes, for how long the program has run neither Lua code
 * nor its loop ("deaf"), and how a handler breaks off a system call or kills the process. What the
 * signal comes for is decided by interrupt.c.
 *
 * Functions marked (handler) may be called in signal handlers only, which block one another, or with
 * signals blocked. Nothing here allocates, raises or waits.
 */
#ifndef LARIAT_WATCHDOG_H
#define LARIAT_WATCHDOG_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define TICK_NS (50 * 1000 * 1000ull) /* between two ticks */

uint64_t watchdog_now(void); /* CLOCK_MONOTONIC in ns, also in a simulation; async-signal-safe */

/* Blocks every signal, and returns the mask before, for watchdog_unblock(). */
sigset_t watchdog_block(void);
void watchdog_unblock(const sigset_t *before);

/* Installs a handler, SIG_DFL or SIG_IGN, during which all signals are blocked. */
void watchdog_handle(int number, void (*handler)(int));

/* (handler) SIGALRM comes at `due` (as watchdog_now()), with `soon` after TICK_NS at the latest;
 * NEVER and not `soon`: not at all. Replaces what was set before. */
void watchdog_arm(uint64_t due, bool soon);

void watchdog_heard(void);           /* the loop or a hook runs: the program is not deaf */
void watchdog_listen(uint64_t at);   /* (handler) counts deafness from `at` on */
uint64_t watchdog_deaf(uint64_t at); /* (handler) for how many ns the program has been deaf */
void watchdog_break(void);           /* (handler) SIGALRM ends system calls, until it is heard */

/* Writes a string to standard error; async-signal-safe. */
void watchdog_write(const char *text);

/* Ends the process without unwinding, by signal `number`, or with `status` if that is 0;
 * async-signal-safe. */
_Noreturn void watchdog_die(int number, int status);

#endif
