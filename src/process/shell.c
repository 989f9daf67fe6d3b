/* SPDX-License-Identifier: MIT
 *
 * os.execute and io.popen, which behave as the C library's system() and popen(); the file that
 * io.popen returns is one of Lua's own. They block the whole program, so pending output is flushed
 * first.
 *
 * Invariant: the command starts as if it had been started instead of lariat: with the limits and the
 * environment that lariat was started with, and default signal actions (exec resets handlers).
 * Calling system() and popen() was rejected: the command would inherit lariat's raised descriptor
 * limit. posix_spawn opens no descriptor, so the limit may be lowered around it however many
 * descriptors are open.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/socket.h"
#include "process/process.h"

#define SHELL "/bin/sh"

extern char **environ;

/* A file of io.popen's, as Lua's liolib.c knows it, and the process at its other end. */
struct piped {
    luaL_Stream stream; /* the first member: Lua takes the userdata for a luaL_Stream */
    pid_t pid;
};

/* Starts the command; our descriptor `ours` (-1: none) becomes its descriptor `theirs`. 0 or an
 * errno. */
static int start(const char *command, int ours, int theirs, pid_t *pid) {
    char *arguments[] = {"sh", "-c", (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    struct rlimit raised;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return err;
    }
    if (ours >= 0) {
        err = posix_spawn_file_actions_adddup2(&actions, ours, theirs);
    }
    if (err == 0) {
        bool lowered = process_lower_limit(&raised);
        err = posix_spawn(pid, SHELL, &actions, NULL, arguments, environ);
        if (lowered) {
            setrlimit(RLIMIT_NOFILE, &raised);
        }
    }
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* Waits for the child and pushes how it ended, as os.execute returns it. */
static int push_end(lua_State *L, pid_t pid) {
    int status = -1;
    pid_t waited;
    do {
        waited = waitpid(pid, &status, 0);
    } while (waited < 0 && errno == EINTR);
    if (waited >= 0) {
        errno = 0; /* else luaL_execresult reports errno instead of the status */
    }
    return luaL_execresult(L, waited < 0 ? -1 : status);
}

/* os.execute([command]): while the command runs, SIGINT and SIGQUIT are ignored here, as in system(),
 * so that Ctrl-C reaches the command only. */
int shell_execute(lua_State *L) {
    const char *command = luaL_optstring(L, 1, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, interrupt, quit;
    pid_t pid = 0;
    outputs_flush();
    if (command == NULL) {
        lua_pushboolean(L, access(SHELL, X_OK) == 0);
        return 1;
    }
    errno = start(command, -1, -1, &pid);
    if (errno != 0) {
        return luaL_execresult(L, -1);
    }
    sigaction(SIGINT, &ignore, &interrupt);
    sigaction(SIGQUIT, &ignore, &quit);
    int n = push_end(L, pid);
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGQUIT, &quit, NULL);
    return n;
}

static int close_piped(lua_State *L) {
    struct piped *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    fclose(p->stream.f);
    return push_end(L, p->pid);
}

/* Makes a pipe, a file for our end of it, and starts the command with the other end: 0 or an errno. */
static int open_piped(struct piped *p, const char *command, bool reads) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return errno;
    }
    int ours = ends[!reads], theirs = ends[reads], err = ENOMEM;
    p->stream.f = fdopen(ours, reads ? "r" : "w");
    if (p->stream.f == NULL) {
        close(ours);
    } else {
        err = start(command, theirs, reads ? STDOUT_FILENO : STDIN_FILENO, &p->pid);
    }
    close(theirs);
    if (err == 0) {
        p->stream.closef = close_piped;
    } else if (p->stream.f != NULL) {
        fclose(p->stream.f);
    }
    return err;
}

/* io.popen(command [, mode]) -> file | nil, message, number */
int shell_popen(lua_State *L) {
    const char *command = luaL_checkstring(L, 1);
    const char *mode = luaL_optstring(L, 2, "r");
    luaL_argcheck(L, strcmp(mode, "r") == 0 || strcmp(mode, "w") == 0, 2, "invalid mode");
    struct piped *p = lua_newuserdatauv(L, sizeof(*p), 0);
    *p = (struct piped){.stream = {.closef = NULL}};
    luaL_setmetatable(L, LUA_FILEHANDLE);
    outputs_flush();
    fflush(NULL);
    errno = open_piped(p, command, *mode == 'r');
    return errno == 0 ? 1 : luaL_fileresult(L, 0, command);
}
