/* SPDX-License-Identifier: MIT
 *
 * Other processes and what comes from outside: child processes of lariat.run (process.c, spawn.c),
 * those of os.execute and io.popen (shell.c), signals that scripts wait for (signal.c) and the standard
 * streams (standard.c).
 *
 * A caller may rely on this: a child process gets the descriptor limit, the environment and the signal
 * actions that lariat itself was started with, and is reaped whether its object lives or not.
 */
#ifndef LARIAT_PROCESS_H
#define LARIAT_PROCESS_H

#include <lua.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <uv.h>

#include "task/task.h"

struct child;

/* Lua's half of a child: a userdata. */
struct process {
    struct child *child;  /* NULL: it has ended, or its object was closed */
    struct waitq waiters; /* tasks in wait() */
    int pid;
    bool ended;       /* if so, `code` and `signal` say how */
    int code, signal; /* the exit status; the signal that killed it, or 0 */
};

/* Makes the metatable of processes; before any process_new(). May raise (memory). */
void process_open_class(lua_State *L);

/* Pushes a new process, without a child so far. May raise (memory). */
struct process *process_new(lua_State *L);

/* Forks and executes by uv_spawn(); sets options->exit_cb. 0 or -errno; never raises. */
int process_start(struct process *p, uv_process_options_t *options);

/* Lowers our soft limit of descriptors to the one that lariat was started with, for a child to
 * inherit; the hard limit never changes. True: the caller restores it afterwards, by
 * setrlimit(RLIMIT_NOFILE, raised). False: it was not lowered. */
bool process_lower_limit(struct rlimit *raised);

/* os.execute and io.popen, for Lua. Both block the whole program. */
int shell_execute(lua_State *L);
int shell_popen(lua_State *L);

/* The number of the signal named at `index`, "TERM" or "SIGTERM"; raises on anything else. */
int signal_check(lua_State *L, int index);

/* Push the tables lariat.core.process, .signal and .standard. May raise (memory). */
int process_open(lua_State *L);
int signal_open(lua_State *L);
int standard_open(lua_State *L);

/* isatty(descriptor, stream or file) for Lua: is that a terminal? */
int standard_isatty(lua_State *L);

/* For teardown, before the state is closed. Children are ended (SIGTERM, a second later SIGKILL), and
 * waited for as long; watches of signals are closed. Both run once no task is left. */
void process_close_all(void);
void signal_close_all(void);

#endif
