/* SPDX-License-Identifier: MIT
 *
 * The world in which tasks run: the real one, or one that a simulation has put in its place. The
 * runtime knows of a simulation only this table; `rt.world` is NULL while the world is the real one.
 *
 * Invariant: a table is installed and removed between two resumes of a task, never during one.
 */
#ifndef LARIAT_WORLD_H
#define LARIAT_WORLD_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct task;

struct world {
    /* The owner number of a task that no task has spawned. */
    unsigned domain;
    /* Whether a task runs in this world: those of the real one may be woken meanwhile as well. */
    bool (*contains)(const struct task *task);
    /* A task has been spawned; is about to be resumed; has ended. None may raise or wait. */
    void (*task_began)(const struct task *task);
    void (*task_enters)(const struct task *task);
    void (*task_ended)(const struct task *task);
    /* The host name of the machine that the running task is on; lives as long as the machine. */
    const char *(*hostname)(void);
    /* Where the running task's program keeps what it knows of names: see resolver.c. */
    int *(*resolver)(void);
    /* 64 random bits, for what nobody should foresee; in a simulation they are the seed's. */
    uint64_t (*random)(void);
    /* A descriptor of rt.driver for standard stream 0, 1 or 2; -1: the real one serves. */
    int (*standard)(int number);
    /* Whether the running task has streams of its own, so that no terminal is to be seen. */
    bool (*hides_terminals)(void);
};

/* Raises, naming `what`, if the world is not the real one: `what` would wait for the real one. */
void world_refuse(lua_State *L, const char *what);

#endif
