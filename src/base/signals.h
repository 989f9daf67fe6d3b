/* SPDX-License-Identifier: MIT
 *
 * Signals by name and by number, and which of them a script may wait for. (A header called signal.h
 * would hide the C library's.)
 */
#ifndef LARIAT_SIGNALS_H
#define LARIAT_SIGNALS_H

struct signal_info {
    const char *name; /* as "TERM" */
    int number;
    const char *unfit; /* why no script can wait for it; NULL: one can */
};

/* "TERM" or "SIGTERM" -> its row; NULL: there is no such signal. */
const struct signal_info *signal_by_name(const char *name);

/* 15 -> "TERM"; NULL: it has no name. Async-signal-safe. */
const char *signal_name(int number);

#endif
