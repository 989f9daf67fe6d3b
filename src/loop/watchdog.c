/* SPDX-License-Identifier: MIT
 *
 * The timer behind interrupt.c, and what a signal handler can do by itself. One ITIMER_REAL serves a
 * test's limit, the bound of teardown, and the ticks that follow while an interruption has not been
 * carried out. Every tick checks again what is to be done, so that nothing depends on the moment at
 * which a signal came.
 *
 * Invariant: `heard_at` is no later than the last moment at which the program was seen to run Lua
 * code or its loop. A watching thread was rejected: every process would have one, except the copies
 * that fork() makes of it (src/exact/fork.c).
 */
#include "loop/watchdog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "task/hook.h"

static struct {
    uint64_t heard_at;
    unsigned moves;                 /* hook_moves() when last asked */
    volatile sig_atomic_t breaking; /* SIGALRM has no SA_RESTART: it ends system calls with EINTR */
    void (*on_alarm)(int);          /* the handler of SIGALRM */
} watchdog;

uint64_t watchdog_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

sigset_t watchdog_block(void) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    return before;
}

void watchdog_unblock(const sigset_t *before) {
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

void watchdog_handle(int number, void (*handler)(int)) {
    bool breaking = number == SIGALRM && watchdog.breaking;
    struct sigaction action = {.sa_handler = handler, .sa_flags = breaking ? 0 : SA_RESTART};
    sigfillset(&action.sa_mask);
    if (number == SIGALRM) {
        watchdog.on_alarm = handler;
    }
    sigaction(number, &action, NULL);
}

void watchdog_arm(uint64_t due, bool soon) {
    uint64_t at = watchdog_now();
    struct itimerval timer = {{0, 0}, {0, 0}};
    if (due <= at || (soon && due > at + TICK_NS)) {
        due = at + TICK_NS;
    }
    if (due != NEVER) {
        uint64_t us = (due - at) / 1000 + 1;
        timer.it_value.tv_sec = (time_t)(us / 1000000);
        timer.it_value.tv_usec = (suseconds_t)(us % 1000000);
    }
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- is it alive? ---- */

void watchdog_heard(void) {
    sigset_t before = watchdog_block();
    watchdog.heard_at = watchdog_now();
    if (watchdog.breaking) {
        watchdog.breaking = 0;
        watchdog_handle(SIGALRM, watchdog.on_alarm);
    }
    watchdog_unblock(&before);
}

void watchdog_listen(uint64_t at) {
    watchdog.heard_at = at;
}

uint64_t watchdog_deaf(uint64_t at) {
    if (hook_moves() != watchdog.moves) {
        watchdog.moves = hook_moves();
        watchdog.heard_at = at;
    }
    return at - watchdog.heard_at;
}

void watchdog_break(void) {
    watchdog.breaking = 1;
    watchdog_handle(SIGALRM, watchdog.on_alarm);
}

/* ---- the end ---- */

void watchdog_write(const char *text) {
    (void)!write(STDERR_FILENO, text, strlen(text));
}

void watchdog_die(int number, int status) {
    if (number != 0) {
        sigset_t all;
        sigfillset(&all);
        watchdog_handle(number, SIG_DFL);
        raise(number);
        pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    }
    _exit(status);
}
