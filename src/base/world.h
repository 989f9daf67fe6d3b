/* SPDX-License-Identifier: MIT
 *
 * The hooks by which a simulation takes part in the runtime: the floors below the simulator know
 * nothing else of it. `rt.world` is NULL while no simulation runs; every caller checks that first.
 *
 * Invariant: a table is installed and removed while no task of the simulation runs. No function of
 * the table may raise or wait.
 */
#ifndef LARIAT_WORLD_H
#define LARIAT_WORLD_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct task;

struct world {
    /* The domain of a task that was spawned by no task. */
    unsigned domain;
    /* Whether a task belongs to the simulation. Tasks of the real world can be woken while it
     * runs. */
    bool (*contains)(const struct task *task);
    /* A task has been spawned; is about to be resumed; has ended. */
    void (*task_began)(const struct task *task);
    void (*task_enters)(const struct task *task);
    void (*task_ended)(const struct task *task);
    /* The host name of the running task's machine; valid as long as the machine exists. */
    const char *(*hostname)(void);
    /* Where the running task's program keeps what it knows of names: see net/resolver.c. */
    int *(*resolver)(void);
    /* 64 random bits that nobody can foresee; in a simulation they are the seed's. */
    uint64_t (*random)(void);
    /* A descriptor of rt.driver for standard stream 0, 1 or 2; -1: use the real one. */
    int (*standard)(int number);
    /* Whether the running task has simulated standard streams: it must not see a terminal. */
    bool (*hides_terminals)(void);
};

/* Raises an error that names `what` if a simulation runs: `what` would wait for the real world. */
void world_refuse(lua_State *L, const char *what);

#endif
