/* SPDX-License-Identifier: MIT
 *
 * Faults for a program under test: preloaded it takes the place of some of the C library's functions,
 * and as the Lua module `faults` it is told which of them are to fail:
 *
 *   faults.fail("accept4", errno, times [, after])  the next calls but for the first `after`
 *   faults.fail("alloc", 0, times, after)           Lua's own allocations, of whatever is new
 *   faults.stop()                                   -> how many calls have failed
 *
 * The name two.test has the addresses 127.0.0.1 and 127.0.0.2. Of epoll_ctl only the calls fail that watch a descriptor for lariat: libuv ends the program where
 * one of its own does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static struct {
    const char *call; /* which is to fail, or NULL */
    int error;
    lua_Integer after, times, failed;
} fault;

static int fails(const char *call) {
    if (fault.call == NULL || strcmp(fault.call, call) != 0 || fault.times == 0) {
        return 0;
    }
    if (fault.after > 0) {
        fault.after--;
        return 0;
    }
    fault.times--;
    fault.failed++;
    errno = fault.error;
    return 1;
}

/* ---- system calls ---- */

int accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags) {
    static int (*real)(int, struct sockaddr *, socklen_t *, int);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "accept4");
    }
    return fails("accept4") ? -1 : real(fd, peer, length, flags);
}

int epoll_ctl(int set, int operation, int fd, struct epoll_event *event) {
    static int (*real)(int, int, int, struct epoll_event *);
    static int lariats = -1; /* the set that has libuv's as a member */
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "epoll_ctl");
    }
    if (event != NULL && event->data.fd == -1) {
        lariats = set;
    }
    int watches = set == lariats && operation != EPOLL_CTL_DEL;
    return watches && fails("epoll_ctl") ? -1 : real(set, operation, fd, event);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list) {
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    }
    int numeric = hints != NULL && (hints->ai_flags & AI_NUMERICHOST);
    if (host == NULL || numeric || strcmp(host, "two.test") != 0) {
        return real(host, service, hints, list);
    }
    int err = real("127.0.0.1", service, hints, list);
    while (err == 0 && *list != NULL) {
        list = &(*list)->ai_next;
    }
    return err == 0 ? real("127.0.0.2", service, hints, list) : err;
}

/* ---- Lua's allocations ---- */

static lua_Alloc allocate;

static void *allocate_or_fail(void *data, void *block, size_t old, size_t size) {
    int grows = size > 0 && (block == NULL || size > old);
    return grows && fails("alloc") ? NULL : allocate(data, block, old, size);
}

/* ---- for the script ---- */

static int fail(lua_State *L) {
    void *data;
    fault.call = NULL;
    fault.error = (int)luaL_checkinteger(L, 2);
    fault.times = luaL_checkinteger(L, 3);
    fault.after = luaL_optinteger(L, 4, 0);
    fault.failed = 0;
    if (allocate == NULL) {
        allocate = lua_getallocf(L, &data);
        lua_setallocf(L, allocate_or_fail, data);
    }
    fault.call = luaL_checkstring(L, 1); /* a literal of the script's: it stays */
    return 0;
}

static int stop(lua_State *L) {
    fault.call = NULL;
    lua_pushinteger(L, fault.failed);
    return 1;
}

int luaopen_faults(lua_State *L) {
    static const luaL_Reg functions[] = {{"fail", fail}, {"stop", stop}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
