/* SPDX-License-Identifier: MIT
 *
 * Child processes: process.c has their lives, spawn.c starts them.
 */
#ifndef LARIAT_PROCESS_H
#define LARIAT_PROCESS_H

#include <lua.h>
#include <stdbool.h>
#include <uv.h>

#include "task.h"

struct child;

/* Lua's half of a child. */
struct process {
    struct child *child; /* NULL: it has ended, or was given up by close */
    struct waitq waiters;
    int pid;
    bool ended; /* and this is how: */
    int code, signal;
};

struct process *process_new(lua_State *L); /* pushes it; without a child so far */
int process_start(struct process *p, uv_process_options_t *options); /* 0 or -errno */

int process_spawn(lua_State *L);
int process_environ(lua_State *L);

#endif
