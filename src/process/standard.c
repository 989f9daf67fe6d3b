/* SPDX-License-Identifier: MIT
 *
 * The standard streams as stream objects. Each is made on first use, and once.
 *
 * Invariants: a stream has a descriptor number of its own above 2, so that closing it never closes 0,
 * 1 or 2 for C's stdio or for a child. Nothing is changed that other processes share, so that the
 * terminal and the shell's pipes stay as they were found. A pipe or terminal is opened anew through
 * /proc/self/fd, which gives an open file description of our own that may be non-blocking; every other
 * descriptor is a duplicate, and src/kernel/file.c makes calls on it that do not block.
 *
 * stdout and stderr are not corked (output_through() in src/net/output.c): send returns once the
 * kernel has all of the data, so that the output of print and of send keeps its order. Setting
 * O_NONBLOCK on the inherited descriptor, as many programs do, was rejected: it would still be set
 * for the shell's next command.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "base/world.h"
#include "kernel/file.h"
#include "net/socket.h"
#include "process/process.h"

/* Can the descriptor be opened anew through /proc/self/fd? Not the master side of a terminal: opening
 * that would make a new terminal. */
static bool may_reopen(int number, const struct stat *st) {
    unsigned master;
    bool terminal = S_ISCHR(st->st_mode) && isatty(number);
    return S_ISFIFO(st->st_mode) || (terminal && ioctl(number, TIOCGPTN, &master) < 0);
}

/* The new descriptor, or -1: the file belongs to another user, or is a pipe that nobody reads. */
static int reopen(int number) {
    char path[32];
    int direction = number == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    return open(path, direction | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* Does epoll take the descriptor? It refuses regular files and folders (EPERM). */
static bool can_be_watched(int fd) {
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(EPOLL_CLOEXEC);
    bool refused = set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM;
    if (set >= 0) {
        close(set);
    }
    return !refused;
}

/* Returns a descriptor for the stream and sets *driver; negative if standard stream `number` is not
 * open. */
static int open_descriptor(int number, const struct driver **driver) {
    struct stat st;
    int simulated = rt.world != NULL ? rt.world->standard(number) : -1;
    if (simulated >= 0) {
        *driver = rt.driver;
        return simulated;
    }
    if (fstat(number, &st) < 0 || (fcntl(number, F_GETFL) & O_PATH)) {
        return -1; /* closed: runtime_open() has put an O_PATH descriptor there */
    }
    if (may_reopen(number, &st)) {
        int fd = reopen(number);
        if (fd >= 0) {
            *driver = &driver_standard_own;
            return fd;
        }
    }
    *driver = S_ISSOCK(st.st_mode)     ? &driver_standard_socket
              : can_be_watched(number) ? &driver_standard_shared
                                       : &driver_standard_ready;
    return fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

/* () -> the stream, which is a closed one if it cannot be opened. Upvalues: its number, and the stream
 * once it has been made. */
static int open_stream(lua_State *L) {
    int number = (int)lua_tointeger(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    if (!lua_isnil(L, -1)) {
        return 1;
    }
    struct socket *s = socket_new(L, FILE_STREAM, AF_UNSPEC);
    const struct driver *driver = &driver_standard_ready;
    int fd = open_descriptor(number, &driver);
    s->watch.driver = driver;
    s->standard = (unsigned char)(number + 1);
    if (fd >= 0) {
        socket_adopt(s, fd);
    } else {
        socket_close(s);
    }
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(2));
    return 1;
}

/* ---- terminals ---- */

/* The descriptor of the stream or file at index 1; -1: it is closed, or belongs to a simulation. */
static int descriptor_of(lua_State *L) {
    const struct socket_box *box = socket_test(L, 1);
    if (box != NULL) {
        const struct socket *s = box->socket;
        return s == NULL ? -1 : s->standard ? s->standard - 1 : s->watch.fd;
    }
    const luaL_Stream *file = luaL_testudata(L, 1, LUA_FILEHANDLE);
    if (file != NULL) {
        return file->closef != NULL ? fileno(file->f) : -1;
    }
    bool named = luaL_getmetafield(L, 1, "__name") == LUA_TSTRING;
    if (!named || strcmp(lua_tostring(L, -1), LUA_FILEHANDLE) != 0) {
        luaL_typeerror(L, 1, "descriptor, stream or file");
    }
    return -1; /* io.stdout of a simulated host: a table */
}

/* isatty(descriptor, stream or file of io) -> is it a terminal? False for a closed one, and on a
 * simulated host. */
int standard_isatty(lua_State *L) {
    int fd;
    if (lua_type(L, 1) == LUA_TNUMBER) {
        lua_Integer n = luaL_checkinteger(L, 1);
        luaL_argcheck(L, n >= 0 && n <= INT_MAX, 1, "descriptor expected, not negative");
        fd = (int)n;
    } else {
        fd = descriptor_of(L);
    }
    bool hidden = rt.world != NULL && rt.world->hides_terminals();
    lua_pushboolean(L, fd >= 0 && !hidden && isatty(fd));
    return 1;
}

int standard_open(lua_State *L) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    lua_createtable(L, 0, 3);
    for (int number = 0; number < 3; number++) {
        lua_pushinteger(L, number);
        lua_pushnil(L);
        lua_pushcclosure(L, open_stream, 2);
        lua_setfield(L, -2, names[number]);
    }
    return 1;
}
