/* SPDX-License-Identifier: MIT
 *
 * A malloc that fails when told to, for LD_PRELOAD: see no_memory.lua. The script says so by asking
 * for an environment variable: "NO_MEMORY=n" fails the nth allocation from now (1: the next) and those
 * that follow it, MOST together: more than a collection and a second try make good. "NO_MEMORY=0"
 * fails none, and its value is how many have failed since the last time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

#define MOST 12

static long left; /* allocations that succeed before the first that fails, and one; 0: all succeed */
static long failed;

static int fails(void) {
    if (left == 0) {
        return 0;
    }
    if (left > 1) {
        left--;
        return 0;
    }
    left = ++failed < MOST ? 1 : 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size) {
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return fails() ? NULL : __libc_realloc(block, size);
}

char *getenv(const char *name) {
    static const char word[] = "NO_MEMORY=";
    static char answer[32];
    extern char **environ;
    size_t length = strlen(name);
    if (strncmp(name, word, sizeof(word) - 1) == 0) {
        left = 0;
        snprintf(answer, sizeof(answer), "%ld", failed);
        failed = 0;
        left = strtol(name + sizeof(word) - 1, NULL, 10);
        return answer;
    }
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') {
            return *entry + length + 1;
        }
    }
    return NULL;
}
