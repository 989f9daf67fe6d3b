/* SPDX-License-Identifier: MIT
 *
 * How long programs take from being started to having ended. Each is run in turn, ROUNDS times, and
 * the median of each is printed, in microseconds: all see the same weather. The first round, in
 * which their files may come from the disk, does not count.
 *
 * Usage: startup ROUNDS COMMAND -- COMMAND...
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_COMMANDS = 8 };

static double now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double time_of(char **command) {
    pid_t pid;
    int status;
    double start = now_us();
    int error = posix_spawnp(&pid, command[0], NULL, NULL, command, environ);
    if (error != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "startup: %s did not run, or failed\n", command[0]);
        exit(1);
    }
    return now_us() - start;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    char **commands[MOST_COMMANDS];
    size_t count = 0, rounds = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (rounds == 0 || rounds > 100000) {
        fputs("usage: startup ROUNDS COMMAND -- COMMAND...\n", stderr);
        return 2;
    }
    commands[count++] = argv + 2;
    for (int i = 3; i < argc && count < MOST_COMMANDS; i++) {
        if (strcmp(argv[i], "--") != 0) continue;
        argv[i] = NULL;
        commands[count++] = argv + i + 1;
    }
    double *times = calloc(count * rounds, sizeof *times);
    if (times == NULL) return 1;
    for (size_t i = 0; i < count; i++) time_of(commands[i]);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) times[i * rounds + round] = time_of(commands[i]);
    }
    for (size_t i = 0; i < count; i++) {
        qsort(times + i * rounds, rounds, sizeof *times, compare);
        printf("%.0f%c", times[i * rounds + rounds / 2], i + 1 < count ? ' ' : '\n');
    }
    free(times);
    return 0;
}
