/* SPDX-License-Identifier: MIT
 *
 * When a state is to be exact, and how it is made. Lua seeds its hashes with the time and with three
 * addresses: of the new state, of a variable on the C stack, and of lua_newstate. Here the state lies
 * in the arena (src/base/arena.c), lua_newstate is called on a stack at a fixed address, the program is
 * linked to a fixed address, and time() returns 0 meanwhile (time.c). So the seed is the same in every
 * process, and with it the order in which `pairs` visits strings. The order of keys that are hashed by
 * address is the same because the arena gives the same objects the same addresses.
 *
 * Only a process that may simulate gets such a state. A server that others can reach must not have a
 * seed that everybody knows: names chosen to collide would make its tables slow.
 */
#include "exact/exact.h"

#include <lauxlib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "base/arena.h"
#include "base/slots.h"
#include "base/state.h"

#define STACK_SIZE ((size_t)256 * 1024)
#define MARK "lariat.sim" /* the module's name, which a script that simulates contains */

/* ---- is it wanted? ---- */

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Does the file contain MARK? Only regular files are read: what is read from a pipe is gone. */
static bool file_mentions(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode)) {
        return false;
    }
    FILE *file = fopen(path, "rbe");
    char *text = NULL;
    size_t capacity = 0;
    bool found = false;
    while (file != NULL && !found) {
        ssize_t size = getline(&text, &capacity, file);
        if (size < 0) {
            break;
        }
        found = memmem(text, (size_t)size, MARK, strlen(MARK)) != NULL;
    }
    free(text);
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* For --test: always, but under a memory checker only in the workers that simulate. The arena hides
 * Lua's objects from the checker. */
static bool wanted_for_tests(char **options) {
#ifdef __SANITIZE_ADDRESS__
    bool watched = true;
#else
    bool watched = RUNNING_ON_VALGRIND;
#endif
    while (watched && *options != NULL && !starts_with(*options, "--sim-worker=")) {
        options++;
    }
    return *options != NULL || !watched;
}

bool exact_wanted(int argc, char **argv) {
    int i;
    for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--") == 0) {
            i++;
            break;
        } else if (strcmp(word, "--test") == 0) {
            return wanted_for_tests(argv + i + 1);
        } else if (strcmp(word, "--sim") == 0 || starts_with(word, "--sim=")) {
            return true;
        } else if (word[1] == 'e' || word[1] == 'l') {
            const char *operand = word[2] != '\0' ? word + 2 : argv[++i];
            if (operand != NULL && strstr(operand, MARK) != NULL) {
                return true;
            }
        }
    }
    return i < argc && file_mentions(argv[i]);
}

/* ---- making it ---- */

static void *make(void *unused) {
    (void)unused;
    return lua_newstate(arena_alloc, NULL);
}

/* Calls lua_newstate on the given stack, by a thread, which is the simplest way to choose a stack. */
static lua_State *made_on(void *stack) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *L = NULL;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, stack, STACK_SIZE) == 0 &&
        pthread_create(&thread, &attributes, make, NULL) == 0) {
        pthread_join(thread, &L);
    }
    pthread_attr_destroy(&attributes);
    return L;
}

lua_State *exact_newstate(void) {
    void *stack = arena_open() ? slots_map(STACK_SIZE, STACK_SIZE) : NULL;
    lua_State *L = NULL;
    if (stack != NULL) {
        rt.exact = true; /* time() returns 0 from here on, until rt.L is set: see time.c */
        L = made_on(stack);
        munmap(stack, STACK_SIZE);
    }
    rt.exact = L != NULL;
    return L;
}

/* ---- for lua/lariat ---- */

/* begin(): a part of the program begins that allocates the same way each time: see arena_begin(). */
static int fn_begin(lua_State *L) {
    (void)L;
    arena_begin();
    return 0;
}

/* finish(): that part has ended. */
static int fn_finish(lua_State *L) {
    (void)L;
    arena_end();
    return 0;
}

/* Lua creates the metatable of long luaL_Buffers with the first of them. Creating it here keeps it out
 * of the first run, whose objects would else have other addresses than those of later runs. */
static void make_buffer_metatable(lua_State *L) {
    luaL_Buffer buffer;
    luaL_buffinitsize(L, &buffer, LUAL_BUFFERSIZE + 1);
    luaL_pushresult(&buffer);
    lua_pop(L, 1);
}

int exact_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"begin", fn_begin}, {"finish", fn_finish}, {NULL, NULL}};
    make_buffer_metatable(L);
    luaL_newlib(L, functions);
    lua_pushboolean(L, rt.exact);
    lua_setfield(L, -2, "exact");
    return 1;
}
