/* SPDX-License-Identifier: MIT
 *
 * The modules that scripts can require: socket.core and lariat.core, which are tables of C functions
 * from all floors, and the embedded Lua modules. All are in package.preload, so that a `socket`
 * installed for another Lua is never found first.
 */
#include "module.h"

#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/embedded.h"
#include "base/state.h"
#include "exact/exact.h"
#include "loop/dump.h"
#include "loop/interrupt.h"
#include "net/methods.h"
#include "net/resolve.h"
#include "net/resolver.h"
#include "process/process.h"
#include "repl/readline.h"
#include "sim/sim.h"
#include "task/location.h"
#include "task/task.h"
#include "task/usage.h"

static const luaL_Reg option_methods[] = {
    {"setoption", socket_setoption}, {"getoption", socket_getoption}, {NULL, NULL}};

/* Which classes of sockets have which methods. Those that every message needs come first, where a
 * class's table finds them soonest: see make_class() in src/net/class.c. */
static const struct socket_methods socket_methods[] = {
    {ANY_TCP | ANY_UNIX | CLASS(FILE_STREAM), send_methods},
    {ANY_TCP | ANY_UNIX | CLASS(FILE_STREAM), receive_methods},
    {ANY_TCP | ANY_UNIX | CLASS(FILE_STREAM), peek_methods},
    {ANY_TCP | ANY_UNIX | CLASS(FILE_STREAM), pipe_methods},
    {ANY_DGRAM, datagram_methods},
    {ANY_UDP, udp_methods},
    {ANY_UNIX_DGRAM, unix_dgram_methods},
    {ANY_SOCKET, socket_shared_methods},
    {ANY_SOCKET, option_methods},
    {ANY_TCP | ANY_UNIX, server_methods},
    {ANY_TCP, tcp_methods},
    {ANY_UNIX, unix_stream_methods},
    {0, NULL},
};

/* skip(n, ...) -> all but the first n of the other arguments */
static int socket_skip(lua_State *L) {
    usage_check_dot(L, "number");
    lua_Number n = luaL_checknumber(L, 1);
    int most = lua_gettop(L) - 1;
    int skipped = n < -1 ? -1 : n < most ? (int)n : most; /* any number, also none (0/0) */
    return most - skipped;
}

/* host_fault(host) -> why that cannot be the name of a host, or nil */
static int host_fault(lua_State *L) {
    if (address_host_fault(L, luaL_checkstring(L, 1)) == NULL) {
        lua_pushnil(L);
    }
    return 1;
}

static int socket_gettime(lua_State *L) {
    lua_pushnumber(L, clock_wall());
    return 1;
}

static int open_socket_core(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"tcp", tcp_create},
        {"tcp4", tcp_create4},
        {"tcp6", tcp_create6},
        {"udp", udp_create},
        {"udp4", udp_create4},
        {"udp6", udp_create6},
        {"unix_stream", unix_create_stream},
        {"unix_dgram", unix_create_dgram},
        {"select", socket_select},
        {"gettime", socket_gettime},
        {"methods", socket_methods_of},
        {"skip", socket_skip},
        {"sleep", task_sleep},
        {"host_fault", host_fault},
        {"tcp_copy", tcp_copy},
        {NULL, NULL},
    };
    luaL_newlib(L, functions);
    dns_open(L);
    lua_setfield(L, -2, "dns");
    return 1;
}

/* ---- lariat.core ---- */

static int exit_parked(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    task_resumed();
    task_push_cancelled_value(L);
    return lua_error(L);
}

/* os.exit([code [, close]]): ends the program now; `<close>` variables of all tasks run. */
static int module_exit(lua_State *L) {
    int status;
    if (lua_isboolean(L, 1)) {
        status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    } else {
        status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    }
    outputs_flush();
    if (rt.world != NULL) {
        return sim_exit(L, status);
    }
    rt.status_chosen |= !rt.exiting && !rt.closing;
    state_exit(status);
    if (task_can_wait(L)) {
        scheduler.exit_caller = scheduler.current;
        return task_park(L, "exit", NEVER, false, 0, exit_parked);
    }
    task_push_cancelled_value(L);
    return lua_error(L);
}

static int versions(lua_State *L) {
    lua_pushliteral(L, LARIAT_VERSION);
    lua_pushfstring(L, "%s.%s", LUA_VERSION, LUA_VERSION_RELEASE);
    lua_pushstring(L, uv_version_string());
    return 3;
}

/* on_deadlock(task): a deadlock is an error in this task; nil: it ends the program. */
static int on_deadlock(lua_State *L) {
    scheduler.on_deadlock = lua_isnoneornil(L, 1) ? NULL : task_check(L, 1)->task;
    return 0;
}

/* interactive(): there is a prompt, so that errors which were reported do not set the exit status */
static int interactive(lua_State *L) {
    (void)L;
    rt.interactive = true;
    return 0;
}

/* folder(path) -> the folder that contains the file, with symbolic links resolved; nil: no such file */
static int folder(lua_State *L) {
    char *path = realpath(luaL_checkstring(L, 1), NULL);
    lua_pushstring(L, path); /* nil for NULL */
    free(path);
    if (!lua_isnil(L, -1)) {
        const char *text = lua_tostring(L, -1), *slash = strrchr(text, '/');
        lua_pushlstring(L, text, slash > text ? (size_t)(slash - text) : 1);
    }
    return 1;
}

/* where() -> "file:line" of the script's line that called our Lua code, or nil */
static int where(lua_State *L) {
    struct location p = location_here(L);
    if (p.file != 0) {
        location_push(L, p);
    } else {
        lua_pushnil(L);
    }
    return 1;
}

static int flush_all(lua_State *L) {
    (void)L;
    outputs_flush();
    return 0;
}

static int open_lariat_core(lua_State *L) {
    static const luaL_Reg functions[] = {{"versions", versions},
                                         {"on_deadlock", on_deadlock},
                                         {"flush", flush_all},
                                         {"wait", select_wait},
                                         {"isatty", standard_isatty},
                                         {"interactive", interactive},
                                         {"folder", folder},
                                         {"where", where},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    task_open(L);
    lua_setfield(L, -2, "task");
    scope_open(L);
    lua_setfield(L, -2, "scope");
    fork_open(L);
    lua_setfield(L, -2, "fork");
    exact_open(L);
    lua_setfield(L, -2, "exact");
    dump_open(L);
    lua_setfield(L, -2, "dump");
    interrupt_open_module(L);
    lua_setfield(L, -2, "interrupt");
    standard_open(L);
    lua_setfield(L, -2, "standard");
    signal_open(L);
    lua_setfield(L, -2, "signal");
    process_open(L);
    lua_setfield(L, -2, "process");
    sim_open_module(L, module_open_globals);
    lua_setfield(L, -2, "sim");
    service_open(L);
    lua_setfield(L, -2, "service");
    readline_open(L);
    lua_setfield(L, -2, "readline");
    resolver_open(L);
    lua_pushcfunction(L, dns_by_system);
    lua_setfield(L, -2, "system");
    lua_setfield(L, -2, "resolver");
    return 1;
}

/* ---- debug ---- */

/* Is the value a userdata of lariat's? Those need their finalizers: the runtime has pointers to them. */
static bool is_ours(lua_State *L, int index) {
    bool ours = lua_isuserdata(L, index) && socket_test(L, index) != NULL;
    if (!ours && lua_isuserdata(L, index) && luaL_getmetafield(L, index, "__name") != LUA_TNIL) {
        const char *name = lua_tostring(L, -1);
        ours = name != NULL && strncmp(name, "lariat.", 7) == 0;
        lua_pop(L, 1);
    }
    return ours;
}

/* debug.setmetatable: as Lua's, but raises for a userdata of lariat's */
static int set_metatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    luaL_argcheck(L, !is_ours(L, 1), 1, "an object of lariat's keeps its metatable");
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* ---- embedded modules ---- */

static int embedded_loaded(lua_State *L, int status, lua_KContext ctx) {
    (void)L, (void)status, (void)ctx;
    return 1;
}

static int load_embedded(lua_State *L) {
    const struct embedded_module *m = lua_touserdata(L, lua_upvalueindex(1));
    if (luaL_loadbufferx(L, m->code, m->size, m->name, "b") != LUA_OK) {
        return lua_error(L);
    }
    lua_pushstring(L, m->name);
    lua_callk(L, 1, 1, 0, embedded_loaded);
    return embedded_loaded(L, LUA_OK, 0);
}

static void preload(lua_State *L, const char *name, lua_CFunction open) {
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
}

void module_open_globals(lua_State *L) {
    classes_open(socket_methods);
    coroutine_install(L);
    debug_install(L);
    require_install(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    preload(L, "socket.core", open_socket_core);
    preload(L, "lariat.core", open_lariat_core);
    for (const struct embedded_module *m = embedded_modules; m->name != NULL; m++) {
        lua_pushlightuserdata(L, (void *)(uintptr_t)m);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, m->name);
    }
    lua_pop(L, 1);
    lua_getglobal(L, "os");
    lua_pushcfunction(L, module_exit);
    lua_setfield(L, -2, "exit");
    lua_getglobal(L, "debug");
    lua_pushcfunction(L, set_metatable);
    lua_setfield(L, -2, "setmetatable");
    lua_pop(L, 2);
}

void module_close_all(void) {
    readline_close();
    signal_close_all();
    process_close_all();
}
