/* SPDX-License-Identifier: MIT
 *
 * Copies of this process, each of which runs one seed of a simulation: a crash or an endless loop in
 * one does not affect the others. lua/lariat/internal/sim/fork.lua decides how many there are, and how
 * long they may run.
 *
 * Invariant: a copy shares nothing with its parent but the pipe through which it returns one text
 * before it exits. It has an epoll set of its own, unwinds nothing, and dies with its parent. The
 * parent waits outside of the loop, in poll(): a task that waited in the loop would exist in every
 * copy, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/signals.h"
#include "base/state.h"
#include "exact/exact.h"
#include "kernel/poller.h"
#include "net/socket.h"

#define COPY_TYPE "lariat.fork"
#define MOST_COPIES 64
#define CHUNK (16 * 1024)

/* A userdata. */
struct copy {
    pid_t pid;   /* 0: reaped */
    int fd;      /* the pipe's reading end, or -1 */
    char *text;  /* everything read from the pipe so far */
    size_t size; /* of it */
};

static int pipe_to_parent = -1; /* the pipe's writing end in a copy; -1: this is no copy */

/* ---- in the copy ---- */

static void become_copy(pid_t parent, int fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_FAILURE);
    }
    pipe_to_parent = fd;
    if (uv_loop_fork(&rt.loop) < 0 || poller_fork() < 0) {
        _exit(EXIT_FAILURE);
    }
}

/* leave(text): sends the text to the parent and ends this copy. */
static int fn_leave(lua_State *L) {
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, pipe_to_parent >= 0, 1, "this process is nobody's copy");
    fflush(NULL);
    while (size > 0) {
        ssize_t n = write(pipe_to_parent, text, size);
        if (n < 0 && errno != EINTR) {
            _exit(EXIT_FAILURE);
        }
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    _exit(EXIT_SUCCESS);
}

/* ---- in the parent ---- */

/* start() -> a copy in the parent, false in the copy itself: both go on from here, as after fork() */
static int fn_start(lua_State *L) {
    int ends[2];
    pid_t parent = getpid();
    struct copy *copy = lua_newuserdatauv(L, sizeof(*copy), 0);
    *copy = (struct copy){.fd = -1};
    luaL_setmetatable(L, COPY_TYPE);
    outputs_flush();
    fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return luaL_error(L, "pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_copy(parent, ends[1]);
        lua_pushboolean(L, 0);
        return 1;
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return luaL_error(L, "fork: %s", strerror(errno));
    }
    copy->pid = pid;
    copy->fd = ends[0];
    return 1;
}

/* Reads what the copy has written; false: it has ended, or closed its end of the pipe. */
static bool take_in(struct copy *copy) {
    copy->text = memory_realloc(copy->text, copy->size + CHUNK);
    ssize_t n = read(copy->fd, copy->text + copy->size, CHUNK);
    copy->size += n > 0 ? (size_t)n : 0;
    return n > 0 || (n < 0 && errno == EINTR);
}

static int reap(struct copy *copy) {
    int status = 0;
    while (copy->pid > 0 && waitpid(copy->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (copy->fd >= 0) {
        close(copy->fd);
    }
    copy->pid = 0;
    copy->fd = -1;
    return status;
}

/* Pushes the text, "exit", code or "signal", name. */
static int push_end(lua_State *L, struct copy *copy) {
    int status = reap(copy);
    lua_pushlstring(L, copy->size > 0 ? copy->text : "", copy->size);
    if (WIFSIGNALED(status)) {
        const char *name = signal_name(WTERMSIG(status));
        lua_pushliteral(L, "signal");
        lua_pushstring(L, name != NULL ? name : "unknown");
    } else {
        lua_pushliteral(L, "exit");
        lua_pushinteger(L, WEXITSTATUS(status));
    }
    return 3;
}

/* await(copies, seconds) -> the index of one that has ended, its text, "exit" or "signal", code or
 * name; nil if none ends in time, or earlier without reason (a signal, a part of a text): the caller
 * calls again. Blocks the whole program. */
static int fn_await(lua_State *L) {
    struct pollfd fds[MOST_COPIES];
    struct copy *copies[MOST_COPIES];
    double seconds = luaL_checknumber(L, 2);
    lua_Integer count = luaL_len(L, 1);
    luaL_argcheck(L, count > 0 && count <= MOST_COPIES, 1, "number of copies out of range");
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, 1, i + 1);
        copies[i] = luaL_checkudata(L, -1, COPY_TYPE);
        fds[i] = (struct pollfd){.fd = copies[i]->fd, .events = POLLIN};
        lua_pop(L, 1);
    }
    int timeout = seconds > 0 ? (int)(seconds < 1e6 ? seconds * 1e3 + 1 : 1e9) : 0;
    int ready = poll(fds, (nfds_t)count, timeout);
    for (int i = 0; ready > 0 && i < count; i++) {
        if (fds[i].revents != 0 && !take_in(copies[i])) {
            lua_pushinteger(L, i + 1);
            return 1 + push_end(L, copies[i]);
        }
    }
    lua_pushnil(L);
    return 1;
}

static int method_kill(lua_State *L) {
    const struct copy *copy = luaL_checkudata(L, 1, COPY_TYPE);
    if (copy->pid > 0) {
        kill(copy->pid, SIGKILL);
    }
    return 0;
}

/* Nobody can wait for this copy any more: it is killed. */
static int method_gc(lua_State *L) {
    struct copy *copy = luaL_checkudata(L, 1, COPY_TYPE);
    if (copy->pid > 0) {
        kill(copy->pid, SIGKILL);
        reap(copy);
    }
    memory_free(copy->text);
    copy->text = NULL;
    copy->size = 0;
    return 0;
}

/* How many copies should run at a time: one for each core that this process may use. */
static lua_Integer cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < MOST_COPIES ? count : MOST_COPIES;
}

/* Pushes the path of this program's file, for starting it again. */
static void push_program(lua_State *L) {
    char path[4096];
    size_t size = sizeof(path);
    lua_pushstring(L, uv_exepath(path, &size) == 0 ? path : "/proc/self/exe");
}

int fork_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"kill", method_kill}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"start", fn_start}, {"leave", fn_leave}, {"await", fn_await}, {NULL, NULL}};
    luaL_newmetatable(L, COPY_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, method_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    lua_pushinteger(L, cores());
    lua_setfield(L, -2, "cores");
    push_program(L);
    lua_setfield(L, -2, "program");
    return 1;
}
