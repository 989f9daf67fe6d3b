/* SPDX-License-Identifier: MIT
 *
 * The table of Linux's signals. Real-time signals are not in it.
 */
#include "base/signals.h"

#include <signal.h>
#include <string.h>

static const struct signal_info signals[] = {
    {"HUP", SIGHUP, NULL},
    {"INT", SIGINT, NULL},
    {"QUIT", SIGQUIT, NULL},
    {"USR1", SIGUSR1, NULL},
    {"USR2", SIGUSR2, NULL},
    {"TERM", SIGTERM, NULL},
    {"PIPE", SIGPIPE, NULL},
    {"CHLD", SIGCHLD, NULL},
    {"CONT", SIGCONT, NULL},
    {"TSTP", SIGTSTP, NULL},
    {"TTIN", SIGTTIN, NULL},
    {"TTOU", SIGTTOU, NULL},
    {"URG", SIGURG, NULL},
    {"WINCH", SIGWINCH, NULL},
    {"IO", SIGIO, NULL},
    {"PWR", SIGPWR, NULL},
    {"XCPU", SIGXCPU, NULL},
    {"XFSZ", SIGXFSZ, NULL},
    {"VTALRM", SIGVTALRM, NULL},
    {"PROF", SIGPROF, NULL},
    {"SYS", SIGSYS, NULL},
    {"TRAP", SIGTRAP, NULL},
    {"STKFLT", SIGSTKFLT, NULL},
    {"KILL", SIGKILL, "no process can catch it"},
    {"STOP", SIGSTOP, "no process can catch it"},
    {"ALRM", SIGALRM, "lariat's own: it ends tests that take too long"},
    {"ABRT", SIGABRT, "the program does not survive it"},
    {"SEGV", SIGSEGV, "the program does not survive it"},
    {"BUS", SIGBUS, "the program does not survive it"},
    {"FPE", SIGFPE, "the program does not survive it"},
    {"ILL", SIGILL, "the program does not survive it"},
};

#define SIGNALS (sizeof(signals) / sizeof(*signals))

const struct signal_info *signal_by_name(const char *name) {
    const char *bare = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
    for (size_t i = 0; i < SIGNALS; i++) {
        if (strcmp(signals[i].name, bare) == 0) {
            return &signals[i];
        }
    }
    return NULL;
}

const char *signal_name(int number) {
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i].number == number) {
            return signals[i].name;
        }
    }
    return NULL;
}
