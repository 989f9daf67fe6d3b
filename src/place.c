/* SPDX-License-Identifier: MIT
 *
 * Places: every task and socket remembers the script's line that made it, so remembering must cost
 * next to nothing. A place is a line and a number for the file's name; the names are kept once, in
 * a table here. "file:line" is put together only when somebody asks.
 *
 * Invariant: the table only grows, so a place never dangles, whatever the collector does to the
 * function it was taken from. A script that loads ever new chunks fills it with FILES names at
 * most; what comes after has no place. Lua strings were rejected: they cost a formatting and an
 * allocation for every accepted connection.
 */
#include "place.h"

#include <lauxlib.h>
#include <string.h>

#include "embedded.h"
#include "runtime.h"

#define FILES 1000
#define DEEPEST 100 /* frames looked at for one of the script's */

static struct {
    char (*names)[LUA_IDSIZE];
    unsigned count, capacity;
    unsigned last; /* found most recently */
} table;

static unsigned add_name(const char *name) {
    if (table.count == FILES) {
        return 0;
    }
    if (table.count == table.capacity) {
        unsigned capacity = table.capacity ? 2 * table.capacity : 16;
        void *names = runtime_try(table.names, capacity * sizeof(*table.names));
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

/* Lua code of the program itself is not where a script did something. */
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

bool place_is_script(lua_State *L, lua_Debug *frame) {
    lua_getinfo(L, "Sl", frame);
    return *frame->what != 'C' && !is_ours(frame->source);
}

static int script_frame(lua_State *L, int level, struct place *p) {
    lua_Debug frame;
    for (; level < DEEPEST && lua_getstack(L, level, &frame); level++) {
        if (place_is_script(L, &frame) && frame.currentline > 0) {
            *p = (struct place){file_of(frame.short_src), frame.currentline};
            return level;
        }
    }
    return -1;
}

struct place place_here(lua_State *L) {
    struct place p = {0, 0};
    script_frame(L, 1, &p); /* level 0 is the C function that asks */
    return p;
}

int place_of_coroutine(lua_State *co, struct place *p) {
    return script_frame(co, 0, p);
}

struct place place_of_function(lua_State *L, int index) {
    lua_Debug function;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &function);
    if (function.linedefined < 0 || is_ours(function.source)) {
        return (struct place){0, 0};
    }
    return (struct place){file_of(function.short_src), function.linedefined};
}

void place_push(lua_State *L, struct place p) {
    if (p.file == 0) {
        lua_pushliteral(L, "?");
    } else {
        lua_pushfstring(L, "%s:%d", table.names[p.file - 1], p.line);
    }
}

/* What a C function raises that our own Lua code has called: luaL_error would name a line of that. */
int place_error(lua_State *L, const char *message) {
    struct place p = place_here(L);
    if (p.file != 0) {
        place_push(L, p);
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
    return place_error(L, reason ? lua_pushfstring(L, "%s: %s", message, reason) : message);
}

int place_argerror(lua_State *L, int arg, const char *message) {
    return place_argerror_for(L, arg, message, NULL);
}

void *place_check_self(lua_State *L, const char *type) {
    void *self = luaL_testudata(L, 1, type);
    if (self == NULL) {
        const char *got =
            lua_pushfstring(L, "got %s; methods are called with a colon", luaL_typename(L, 1));
        const char *name = strncmp(type, "lariat.", 7) == 0 ? type + 7 : type;
        place_argerror_for(L, 1, lua_pushfstring(L, "%s expected", name), got);
    }
    return self;
}

void place_close(void) {
    runtime_free(table.names);
    table.names = NULL;
    table.count = table.capacity = table.last = 0;
}
