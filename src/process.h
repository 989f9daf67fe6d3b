/* SPDX-License-Identifier: MIT
 *
 * Child processes: process.c has their lives, spawn.c starts them, shell.c those of os and io.
 */
#ifndef LARIAT_PROCESS_H
#define LARIAT_PROCESS_H

#include <lua.h>
#include <stdbool.h>
#include <sys/resource.h>
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

/* Sets our soft limit of descriptors to the one we were started with, which a child is to have; the
 * hard one never changes. False: nothing to set back. True: setrlimit(RLIMIT_NOFILE, raised) does. */
bool process_lower_limit(struct rlimit *raised);

int process_spawn(lua_State *L);
int process_environ(lua_State *L);
int shell_execute(lua_State *L);
int shell_popen(lua_State *L);

#endif
