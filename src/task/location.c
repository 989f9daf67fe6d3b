/* SPDX-License-Identifier: MIT
 *
 * Source locations: every task and socket records the script's line that created it, so that must
 * cost next to nothing. A location is a line and the number of a file name; the names are in a
 * table here, each once. The text "file:line" is made only when it is asked for.
 *
 * Invariant: the table only grows until the end, so a location stays valid after its function has
 * been collected. It holds at most FILES names, for scripts that load ever new chunks; locations in
 * further files are unknown. Lua strings were rejected: they cost a formatting and an allocation
 * for every accepted connection.
 */
#include "task/location.h"

#include <lauxlib.h>
#include <string.h>

#include "base/embedded.h"
#include "base/memory.h"

#define FILES 1000
#define DEEPEST 100 /* frames examined to find one of the script's */

static struct {
    char (*names)[LUA_IDSIZE];
    unsigned count, capacity;
    unsigned last; /* index of the name found most recently */
} table;

static unsigned add_name(const char *name) {
    if (table.count == FILES) {
        return 0;
    }
    if (table.count == table.capacity) {
        unsigned capacity = table.capacity ? 2 * table.capacity : 16;
        void *names = memory_try(table.names, capacity * sizeof(*table.names));
        if (names == NULL) {
            return 0;
        }
        table.names = names;
        table.capacity = capacity;
    }
    strcpy(table.names[table.count], name);
    table.last = table.count;
    return ++table.count;
}

static unsigned file_of(const char *name) {
    if (table.count > 0 && strcmp(table.names[table.last], name) == 0) {
        return table.last + 1;
    }
    for (unsigned i = 0; i < table.count; i++) {
        if (strcmp(table.names[i], name) == 0) {
            table.last = i;
            return i + 1;
        }
    }
    return add_name(name);
}

/* Whether this is Lua code of the program itself (lua/), which is no location in a script. */
static bool is_ours(const char *source) {
    if (*source != '=') {
        return false;
    }
    for (const struct embedded_module *m = embedded_modules; m->name != NULL; m++) {
        if (strcmp(source + 1, m->name) == 0) {
            return true;
        }
    }
    return false;
}

bool location_is_script(lua_State *L, lua_Debug *frame) {
    lua_getinfo(L, "Sl", frame);
    return *frame->what != 'C' && !is_ours(frame->source);
}

static int script_frame(lua_State *L, int level, struct location *p) {
    lua_Debug frame;
    for (; level < DEEPEST && lua_getstack(L, level, &frame); level++) {
        if (location_is_script(L, &frame) && frame.currentline > 0) {
            *p = (struct location){file_of(frame.short_src), frame.currentline};
            return level;
        }
    }
    return -1;
}

struct location location_here(lua_State *L) {
    struct location p = {0, 0};
    script_frame(L, 1, &p); /* level 0 is the C function that asks */
    return p;
}

int location_of_coroutine(lua_State *co, struct location *p) {
    return script_frame(co, 0, p);
}

struct location location_of_function(lua_State *L, int index) {
    lua_Debug function;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &function);
    if (function.linedefined < 0 || is_ours(function.source)) {
        return (struct location){0, 0};
    }
    return (struct location){file_of(function.short_src), function.linedefined};
}

void location_push(lua_State *L, struct location p) {
    if (p.file == 0) {
        lua_pushliteral(L, "?");
    } else {
        lua_pushfstring(L, "%s:%d", table.names[p.file - 1], p.line);
    }
}

/* For C functions called from our own Lua code: luaL_error would name a line of that code. */
int location_error(lua_State *L, const char *message) {
    struct location p = location_here(L);
    if (p.file != 0) {
        location_push(L, p);
        message = lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), message);
    }
    lua_pushstring(L, message);
    return lua_error(L);
}

int place_argerror_for(lua_State *L, int arg, const char *message, const char *reason) {
    lua_Debug function = {.name = NULL};
    lua_getstack(L, 0, &function);
    lua_getinfo(L, "n", &function);
    bool method = strcmp(function.namewhat, "method") == 0;
    const char *name = function.name ? function.name : "?";
    if (method && arg == 1) {
        message = lua_pushfstring(L, "calling '%s' on bad self (%s)", name, message);
    } else {
        message = lua_pushfstring(L, "bad argument #%d to '%s' (%s)", arg - method, name, message);
    }
    return location_error(L, reason ? lua_pushfstring(L, "%s: %s", message, reason) : message);
}

int location_argerror(lua_State *L, int arg, const char *message) {
    return place_argerror_for(L, arg, message, NULL);
}

void *location_check_self(lua_State *L, const char *type) {
    void *self = luaL_testudata(L, 1, type);
    if (self == NULL) {
        const char *got =
            lua_pushfstring(L, "got %s; methods are called with a colon", luaL_typename(L, 1));
        const char *name = strncmp(type, "lariat.", 7) == 0 ? type + 7 : type;
        place_argerror_for(L, 1, lua_pushfstring(L, "%s expected", name), got);
    }
    return self;
}

void location_close(void) {
    memory_free(table.names);
    table.names = NULL;
    table.count = table.capacity = table.last = 0;
}
