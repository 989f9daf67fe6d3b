/* SPDX-License-Identifier: MIT
 *
 * The program: opens the runtime, spawns the main task, runs until all tasks have ended, and returns
 * the exit status. The command line is read by lua/lariat/internal/main.lua, which is the main task's
 * function.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

#include "base/state.h"
#include "exact/exact.h"
#include "loop/collect.h"
#include "loop/runtime.h"
#include "module.h"
#include "task/task.h"

/* Is there an option -E? The libraries read the environment when they are opened, before main.lua
 * runs. */
static bool ignores_environment(int argc, char **argv) {
    for (int i = 1; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-E") == 0) {
            return true;
        }
        if (strcmp(argv[i], "-e") == 0 || strcmp(argv[i], "-l") == 0) {
            i++;
        }
    }
    return false;
}

static void warn_off(void *ud, const char *message, int to_continue);

/* Lua's warning functions: the messages "@on" and "@off" switch warnings on and off, every other one is
 * printed while they are on. */
static void warn_on(void *ud, const char *message, int to_continue) {
    static bool continuing;
    if (!continuing && !to_continue && *message == '@') {
        if (strcmp(message, "@off") == 0) {
            lua_setwarnf(ud, warn_off, ud);
        }
        return;
    }
    fprintf(stderr, "%s%s%s", continuing ? "" : "lariat: warning: ", message,
            to_continue ? "" : "\n");
    continuing = to_continue;
}

static void warn_off(void *ud, const char *message, int to_continue) {
    if (!to_continue && strcmp(message, "@on") == 0) {
        lua_setwarnf(ud, warn_on, ud);
    }
}

/* (argc, argv): opens the libraries and spawns the main task with the command line. */
static int start(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    if (ignores_environment(argc, argv)) {
        lua_pushboolean(L, 1);
        lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
    }
    lua_gc(L, LUA_GCSTOP); /* nothing created here is garbage: collecting would be wasted time */
    luaL_openlibs(L);
    module_open_globals(L);
    collect_open(L);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lariat.internal.main");
    lua_call(L, 1, 1);
    luaL_checkstack(L, argc, "too many arguments");
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
    }
    task_spawn(L, argc, "main")->record.main = true;
    lua_gc(L, LUA_GCRESTART);
    return 0;
}

int main(int argc, char **argv) {
    runtime_open(exact_wanted(argc, argv) ? exact_newstate() : NULL);
    lua_setwarnf(rt.L, warn_off, rt.L);
    lua_pushcfunction(rt.L, start);
    lua_pushinteger(rt.L, argc);
    lua_pushlightuserdata(rt.L, argv);
    if (lua_pcall(rt.L, 2, 0, 0) != LUA_OK) {
        fprintf(stderr, "lariat: %s\n", lua_tostring(rt.L, -1));
        rt.status = 1;
    } else {
        runtime_run();
    }
    return runtime_close(module_close_all);
}
