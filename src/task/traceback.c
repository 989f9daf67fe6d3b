/* SPDX-License-Identifier: MIT
 *
 * Errors as text, worded alike wherever they are shown: at the prompt, in the report of a task, in
 * the dump. If an error object's __tostring fails, the text says so.
 *
 * Invariant: a traceback ends at the script's outermost frame; lariat's own frames outside of that
 * are left out, those between two frames of the script are not. luaL_traceback writes all frames,
 * so lines are removed from its end. Of the frames above the script's innermost one, where our own
 * Lua code called error() for a mistake of the script, only the function it called is shown.
 */
#include "task/traceback.h"

#include <lauxlib.h>
#include <string.h>

#include "task/location.h"

/* ---- messages ---- */

static int call_tostring(lua_State *L) {
    luaL_callmeta(L, 1, "__tostring");
    return 1;
}

bool traceback_push_message(lua_State *L, int index) {
    index = lua_absindex(L, index);
    if (lua_isstring(L, index)) {
        lua_pushvalue(L, index);
        lua_tostring(L, -1); /* a number stays a number at `index` */
        return false;
    }
    const char *type = luaL_typename(L, index);
    if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) {
        lua_pushfstring(L, "(error object is a %s value)", type);
        return false;
    }
    lua_pop(L, 1);
    lua_pushcfunction(L, call_tostring);
    lua_pushvalue(L, index);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK && lua_type(L, -1) == LUA_TSTRING) {
        return true;
    }
    const char *why = status == LUA_OK ? "it returned no string" : lua_tostring(L, -1);
    lua_pushfstring(L, "(error object is a %s value; __tostring failed: %s)", type,
                    why != NULL ? why : "with an error that is no string");
    lua_replace(L, -2);
    return false;
}

/* ---- tracebacks ---- */

#define OUTERMOST \
    20 /* frames examined; luaL_traceback shows fewer of the outer end of a deep stack */

/* The number of frames. lua_getstack takes time linear in the level: so a binary search. */
static int depth(lua_State *of) {
    lua_Debug frame;
    int below = 0, above = 1;
    while (lua_getstack(of, above, &frame)) {
        below = above;
        above *= 2;
    }
    while (below < above) {
        int middle = below + (above - below) / 2;
        if (lua_getstack(of, middle, &frame)) {
            below = middle + 1;
        } else {
            above = middle;
        }
    }
    return below;
}

/* The number of frames outside of the script's outermost one; 0 if the script has none. */
static int frames_behind(lua_State *of, int level) {
    lua_Debug frame;
    int all = depth(of);
    for (int behind = 0; behind < OUTERMOST && all - behind > level; behind++) {
        if (lua_getstack(of, all - behind - 1, &frame) && location_is_script(of, &frame)) {
            return behind;
        }
    }
    return 0;
}

static bool is_error_function(lua_State *of, lua_Debug *frame) {
    lua_getinfo(of, "Sn", frame);
    return *frame->what == 'C' && frame->name != NULL && strcmp(frame->name, "error") == 0;
}

/* The level of the function of ours that the script called, if that has ended in a call of error();
 * otherwise `level`. */
static int level_of_call(lua_State *of, int level) {
    lua_Debug frame;
    if (!lua_getstack(of, level, &frame) || !is_error_function(of, &frame)) {
        return level;
    }
    int called = level;
    while (lua_getstack(of, called + 1, &frame) && !location_is_script(of, &frame) &&
           *frame.what != 'C') {
        called++;
    }
    return called;
}

/* The length of the text without its last line, which begins with "\n\t". */
static size_t without_line(const char *text, size_t size) {
    while (size > 0 && !(text[size - 1] == '\n' && text[size] == '\t')) {
        size--;
    }
    return size > 0 ? size - 1 : 0;
}

static bool last_line_is(const char *text, size_t size, const char *line) {
    size_t length = strlen(line);
    return size >= length && memcmp(text + size - length, line, length) == 0;
}

void traceback_push(lua_State *L, lua_State *of, const char *message, int level) {
    level = level_of_call(of, level);
    int behind = frames_behind(of, level);
    luaL_traceback(L, of, message, level);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    for (; behind > 0; behind--) {
        size_t rest = without_line(text, size);
        if (strncmp(text + rest, "\n\t...", 5) == 0) {
            break; /* luaL_traceback has left out the frames before */
        }
        size = rest;
        while (last_line_is(text, size, "\n\t(...tail calls...)")) {
            size = without_line(text, size);
        }
    }
    lua_pushlstring(L, text, size);
    lua_replace(L, -2);
}

/* ---- for lua/lariat ---- */

int traceback_message(lua_State *L) {
    luaL_checkany(L, 1);
    lua_pushboolean(L, traceback_push_message(L, 1));
    return 2;
}

int traceback_explain(lua_State *L) {
    int level = (int)luaL_optinteger(L, 2, 1);
    luaL_checkany(L, 1);
    traceback_push_message(L, 1);
    traceback_push(L, L, lua_tostring(L, -1), level);
    return 1;
}
