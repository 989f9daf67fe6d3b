/* SPDX-License-Identifier: MIT
 *
 * Collecting what a select waits for. An element of a list is one of our sockets; or a task; or a table
 * with a condition `watchers` and a method `ready`, as the objects of lua/lariat have; or, as in
 * LuaSocket, any object whose method `getfd` names a descriptor (and whose `dirty` may say that it can
 * be read at once). In a lenient call (select) all other elements are passed over.
 */
#include "net/selection.h"

#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "base/state.h"
#include "task/location.h"

#define SELECTION_TYPE "lariat.selection"
#define MOST_ENTRIES (1 << 24) /* of a list: so that sizes do not overflow */

static size_t list_length(lua_State *L, int table) {
    if (lua_isnoneornil(L, table)) {
        return 0;
    }
    luaL_checktype(L, table, LUA_TTABLE);
    lua_Integer n = luaL_len(L, table);
    luaL_argcheck(L, n >= 0 && n <= MOST_ENTRIES, table, "list is too long");
    return (size_t)n;
}

void selection_check_lists(lua_State *L) {
    list_length(L, RECEIVERS);
    list_length(L, SENDERS);
}

/* Raises unless the object on top can be indexed: only then may it have a method `getfd`. */
static void check_indexable(lua_State *L, const struct entry *e) {
    int type = luaL_getmetafield(L, -1, "__index");
    if (type != LUA_TNIL) {
        lua_pop(L, 1);
    } else if (!lua_istable(L, -1)) {
        location_argerror(L, e->events == POLLIN ? RECEIVERS : SENDERS,
                          lua_pushfstring(L, "element %I: socket expected, got %s", e->index,
                                          luaL_typename(L, -1)));
    }
}

/* Replaces the method on top by what it returns for the object below it. */
static void ask(lua_State *L, const struct entry *e, const char *method) {
    if (luaL_getmetafield(L, -1, "__call") != LUA_TNIL) {
        lua_pop(L, 1);
    } else if (!lua_isfunction(L, -1)) {
        location_argerror(
            L, e->events == POLLIN ? RECEIVERS : SENDERS,
            lua_pushfstring(L, "element %I: its '%s' is no function", e->index, method));
    }
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
}

/* Fills the entry by the methods of the object on top, getfd and dirty, as LuaSocket does for anything
 * that can be indexed. */
static void ask_foreign(lua_State *L, struct entry *e) {
    int top = lua_gettop(L);
    e->fd = -1;
    check_indexable(L, e);
    if (lua_getfield(L, top, "getfd") != LUA_TNIL) {
        ask(L, e, "getfd");
        lua_Number fd = lua_tonumber(L, -1);
        e->fd = lua_isnumber(L, -1) && fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
    }
    lua_settop(L, top);
    if (e->events == POLLIN && lua_getfield(L, top, "dirty") != LUA_TNIL) {
        ask(L, e, "dirty");
        e->dirty = lua_toboolean(L, -1);
    }
    lua_settop(L, top);
}

/* Fills the entry if the object on top is a task, or a table whose field `watchers` is a condition:
 * these are waited for by a queue, and have no descriptor. */
static bool ask_waitable(lua_State *L, struct entry *e) {
    int top = lua_gettop(L);
    struct task_object *object = luaL_testudata(L, top, TASK_TYPE);
    e->task = object;
    if (object != NULL) {
        e->queue = &object->joiners;
    } else if (lua_istable(L, top) && lua_getfield(L, top, "watchers") != LUA_TNIL) {
        e->queue = condition_test(L, -1);
    }
    lua_settop(L, top);
    e->fd = -1;
    return e->queue != NULL;
}

/* A socket twice in one list is listed once, as a descriptor in a set is. No code of the script
 * runs between setting the marks and clearing them. */
static void drop_repeated(struct selection *sel, size_t first) {
    size_t count = first;
    for (size_t i = first; i < sel->count; i++) {
        struct socket *s = sel->entries[i].socket;
        if (s != NULL && s->selected) {
            continue;
        }
        if (s != NULL) {
            s->selected = true;
        }
        if (count < i) {
            sel->entries[count] = sel->entries[i];
        }
        count++;
    }
    sel->count = count;
    for (size_t i = first; i < count; i++) {
        if (sel->entries[i].socket != NULL) {
            sel->entries[i].socket->selected = false;
        }
    }
}

/* Adds an entry for each element of a list that can be waited for. */
static void collect(lua_State *L, struct selection *sel, int table, size_t n, int events) {
    size_t first = sel->count;
    for (size_t i = 1; i <= n; i++) {
        struct entry *e = &sel->entries[sel->count];
        memset(e, 0, sizeof(*e));
        e->events = events;
        e->index = (lua_Integer)i;
        lua_geti(L, table, (lua_Integer)i);
        struct socket_box *box = socket_test(L, -1);
        if (box != NULL) {
            e->socket = box->socket;
            e->fd = box->socket ? box->socket->watch.fd : -1;
        } else if (!ask_waitable(L, e)) {
            ask_foreign(L, e);
        }
        lua_pop(L, 1);
        if (lua_toboolean(L, STRICT) && e->queue == NULL && e->fd < 0) {
            if (box == NULL) {
                location_argerror(L, 1,
                                  lua_pushfstring(L, "object %d cannot be waited for", (int)i));
            }
            e->socket = NULL;
            e->dirty = true; /* a closed socket is ready: the next call says that it is closed */
            sel->count++;
            continue;
        }
        sel->count += e->queue != NULL || e->fd >= 0;
    }
    drop_repeated(sel, first);
}

/* Another task's select may wait on our watch of a descriptor: it is woken, and then makes a watch of
 * its own. */
void selection_stop(struct selection *sel) {
    for (size_t i = 0; i < sel->count; i++) {
        struct entry *e = &sel->entries[i];
        if (e->socket == NULL && e->queue == NULL) {
            watch_stop(&e->watch);
            waitq_wake_all(&e->watch.readers, WAKE_READY);
            waitq_wake_all(&e->watch.writers, WAKE_READY);
        }
    }
}

static int selection_gc(lua_State *L) {
    selection_stop(lua_touserdata(L, 1));
    return 0;
}

struct selection *selection_new(lua_State *L) {
    size_t receivers = list_length(L, RECEIVERS), senders = list_length(L, SENDERS);
    size_t n = receivers + senders;
    struct selection *sel;
    size_t each = sizeof(*sel->entries) + sizeof(*sel->interests) + sizeof(*sel->polls);
    sel = lua_newuserdatauv(L, sizeof(*sel) + n * each, 0);
    sel->count = 0;
    sel->interests = (struct interest *)(sel->entries + n);
    sel->polls = (struct pollfd *)(sel->interests + n);
    if (luaL_newmetatable(L, SELECTION_TYPE)) {
        lua_pushcfunction(L, selection_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    collect(L, sel, RECEIVERS, receivers, POLLIN);
    collect(L, sel, SENDERS, senders, POLLOUT);
    return sel;
}

static void copy_list(lua_State *L, int table) {
    lua_Integer n = (lua_Integer)list_length(L, table);
    lua_createtable(L, n < INT_MAX ? (int)n : 0, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_geti(L, table, i);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, table);
}

void selection_copy_lists(lua_State *L) {
    copy_list(L, RECEIVERS);
    copy_list(L, SENDERS);
}
