/* SPDX-License-Identifier: MIT
 *
 * Signals by name and by number, and which of them a script may wait for. All of it is constant and
 * async-signal-safe. (A header named signal.h would hide the C library's.)
 */
#ifndef LARIAT_SIGNALS_H
#define LARIAT_SIGNALS_H

struct signal_info {
    const char *name; /* without "SIG": "TERM" */
    int number;
    const char *unfit; /* why a script cannot wait for it, for messages; NULL: it can */
};

/* Takes "TERM" or "SIGTERM"; upper case only. NULL: there is no such signal. */
const struct signal_info *signal_by_name(const char *name);

/* 15 -> "TERM"; NULL: the number is not in the table. */
const char *signal_name(int number);

#endif
