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

#include "task/task.h"

struct child;

/* Lua's half of a child. */
struct process {
    struct child *child; /* NULL: it has ended, or was given up by close */
    struct waitq waiters;
    int pid;
    bool ended; /* and this is how: */
    int code, signal;
};

void process_open_class(lua_State *L);     /* makes the class of processes */
struct process *process_new(lua_State *L); /* pushes it; without a child so far */
int process_start(struct process *p, uv_process_options_t *options); /* 0 or -errno */

/* Sets our soft limit of descriptors to the one we were started with, which a child is to have; the
 * hard one never changes. False: nothing to set back. True: setrlimit(RLIMIT_NOFILE, raised) does. */
bool process_lower_limit(struct rlimit *raised);

int shell_execute(lua_State *L);
int shell_popen(lua_State *L);

int signal_check(lua_State *L, int index); /* "TERM" or "SIGTERM" -> 15; raises on anything else */

/* Push what lariat.core has of them. */
int process_open(lua_State *L);
int signal_open(lua_State *L);
int standard_open(lua_State *L);
int standard_isatty(lua_State *L); /* isatty(x), as a lua_CFunction */

/* Before the state is closed: children are ended (SIGTERM, a second later SIGKILL), watches closed. */
void process_close_all(void);
void signal_close_all(void);

#endif
