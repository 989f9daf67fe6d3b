/* SPDX-License-Identifier: MIT
 *
 * The standard streams as stream objects, each made when first asked for and only once.
 *
 * Invariants: a stream has a descriptor number of its own above 2, so closing it never takes 0, 1
 * or 2 from C's stdio or from a child; and nothing is changed that other processes share, so the
 * terminal and the shell's pipes are left as found. A pipe or terminal is opened anew through
 * /proc/self/fd, which gives a description of our own that may be non-blocking; everything else is
 * a duplicate, and driver_file.c sees to it that it does not block us.
 *
 * stdout and stderr are not corked (see output_through): send returns once the kernel has all of
 * it, so that print and send keep their order. Setting O_NONBLOCK on the inherited descriptor, as
 * many do, was rejected: the shell's next command would find it so.
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

/* Opening a terminal's master side would make a new terminal. */
static bool may_reopen(int number, const struct stat *st) {
    unsigned master;
    bool terminal = S_ISCHR(st->st_mode) && isatty(number);
    return S_ISFIFO(st->st_mode) || (terminal && ioctl(number, TIOCGPTN, &master) < 0);
}

/* Fails where the file belongs to another user, or is a pipe nobody reads. */
static int reopen(int number) {
    char path[32];
    int direction = number == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    return open(path, direction | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static bool can_be_watched(int fd) {
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(EPOLL_CLOEXEC);
    bool refused = set >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM;
    if (set >= 0) {
        close(set);
    }
    return !refused;
}

/* A descriptor for the stream and the driver that suits it; negative if there is none. */
static int open_descriptor(int number, const struct driver **driver) {
    struct stat st;
    int simulated = rt.world != NULL ? rt.world->standard(number) : -1;
    if (simulated >= 0) {
        *driver = rt.driver;
        return simulated;
    }
    if (fstat(number, &st) < 0 || (fcntl(number, F_GETFL) & O_PATH)) {
        return -1; /* closed: runtime.c holds its number */
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

/* () -> the stream; one that cannot be opened is a closed stream */
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

/* The descriptor of the stream or file at index 1; -1: it is closed, or a simulation's. */
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

/* isatty(descriptor, stream or file of io) -> is it a terminal? What is closed is none, and a
 * simulated host has none. */
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
