/* SPDX-License-Identifier: MIT
 *
 * What scripts see of every socket: LuaSocket's classes, one metatable each, the check that begins
 * every method, and the methods that all sockets have.
 *
 * Invariants: a box's metatable is always that of its class; changing the class of a socket
 * (socket_become) changes both. A userdata of a box's size that begins with one of the marks is a box, or
 * lies in the memory of a box that has been collected, whose socket is NULL. Looking at the mark costs
 * half of what fetching and comparing the metatable does.
 */
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"

#define HAS_STATS (ANY_STREAM | ANY_DGRAM)

static const char *const class_names[SOCKET_CLASSES] = {
    [TCP_MASTER] = "tcp{master}",
    [TCP_CLIENT] = "tcp{client}",
    [TCP_SERVER] = "tcp{server}",
    [UNIX_MASTER] = "unixstream{master}",
    [UNIX_CLIENT] = "unixstream{client}",
    [UNIX_SERVER] = "unixstream{server}",
    [UDP_UNCONNECTED] = "udp{unconnected}",
    [UDP_CONNECTED] = "udp{connected}",
    [UNIX_DGRAM_UNCONNECTED] = "unixdgram{unconnected}",
    [UNIX_DGRAM_CONNECTED] = "unixdgram{connected}",
    [FILE_STREAM] = "stream",
};

static const char marks[SOCKET_CLASSES]; /* the mark of a class is the address of its element */

/* ---- classes and checks ---- */

enum socket_class socket_class(const struct socket_box *box) {
    return (enum socket_class)(box->mark - marks);
}

const char *socket_class_name(enum socket_class class) {
    return class_names[class];
}

static const struct socket_methods *class_methods; /* set by classes_open */

void classes_open(const struct socket_methods *rows) {
    class_methods = rows;
}

static void make_class(lua_State *L, enum socket_class class);

/* A class is made when it is first asked for: most scripts use a few, and many none. Its memory does not
 * belong to the simulation that may be running. */
static void push_metatable(lua_State *L, enum socket_class class) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &class_names[class]) == LUA_TNIL) {
        lua_pop(L, 1);
        arena_pause();
        make_class(L, class);
        arena_resume();
    }
}

struct socket_box *socket_push_box(lua_State *L, enum socket_class class) {
    struct socket_box *box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = (struct socket_box){.mark = &marks[class]};
    push_metatable(L, class);
    lua_setmetatable(L, -2);
    return box;
}

/* The userdata at `index` if it is a box of one of the classes. */
static inline struct socket_box *box_of(lua_State *L, int index, unsigned classes) {
    struct socket_box *box = lua_touserdata(L, index);
    bool ours = box != NULL && lua_rawlen(L, index) == sizeof(*box) &&
                (uintptr_t)box->mark - (uintptr_t)marks < SOCKET_CLASSES;
    return ours && (CLASS(socket_class(box)) & classes) ? box : NULL;
}

struct socket_box *socket_test(lua_State *L, int index) {
    return box_of(L, index, ANY_SOCKET);
}

/* The class whose family, "tcp" of "tcp{client}", an error names: the object's own if one of the classes
 * is of it. */
static const char *expected_family(const struct socket_box *box, unsigned classes) {
    for (int class = 0; box != NULL && class < SOCKET_CLASSES; class ++) {
        const char *own = class_names[socket_class(box)];
        size_t length = strcspn(own, "{");
        if ((classes & CLASS(class)) && strncmp(class_names[class], own, length + 1) == 0) {
            return own;
        }
    }
    return class_names[__builtin_ctz(classes)];
}

/* Why a socket of a class lacks a method of other classes of its family; NULL: of another family. */
static const char *why_not(enum socket_class own, unsigned classes) {
    if (CLASS(own) & ANY_UDP & ~classes && classes & ANY_UDP) {
        return own == UDP_CONNECTED ? "it has a peer, given by setpeername"
                                    : "it has no peer; setpeername names one, sendto needs none";
    }
    if (CLASS(own) & ANY_UNIX_DGRAM && classes & ANY_UNIX_DGRAM) {
        return own == UNIX_DGRAM_CONNECTED ? "it has a peer, given by connect"
                                           : "it has no peer; connect names one, sendto needs none";
    }
    unsigned family = CLASS(own) & ANY_TCP ? ANY_TCP : CLASS(own) & ANY_UNIX ? ANY_UNIX : 0;
    if (!(classes & family)) {
        return NULL;
    }
    if (CLASS(own) & ANY_MASTER) {
        return classes & ANY_SERVER ? "it does not listen" : "it is not connected";
    }
    if (CLASS(own) & ANY_SERVER) {
        return classes & ANY_MASTER ? "it listens already"
                                    : "it is a server, whose connections come from accept or serve";
    }
    return "it is a client, by connect or accept";
}

/* Raises LuaSocket's message, followed by what the value is instead. Apart, so that the check itself stays
 * short. */
static __attribute__((cold, noinline)) void wrong_class(lua_State *L, unsigned classes,
                                                        const char *role) {
    const struct socket_box *box = socket_test(L, 1);
    const char *name = expected_family(box, classes);
    const char *got = box != NULL ? class_names[socket_class(box)] : luaL_typename(L, 1);
    const char *how = box != NULL ? "" : "; methods are called with a colon";
    const char *reason = box != NULL ? why_not(socket_class(box), classes) : NULL;
    lua_pushlstring(L, name, strcspn(name, "{"));
    const char *expected = lua_pushfstring(L, "%s{%s} expected", lua_tostring(L, -1), role);
    if (reason == NULL) {
        reason = lua_pushfstring(L, "got %s%s", got, how);
    }
    place_argerror_for(L, 1, expected, reason);
}

static inline struct socket_box *check_box(lua_State *L, unsigned classes, const char *role) {
    struct socket_box *box = box_of(L, 1, classes);
    if (box == NULL) {
        wrong_class(L, classes, role);
    }
    return box;
}

struct socket_box *socket_check_any(lua_State *L) {
    return check_box(L, ANY_SOCKET, "any");
}

struct socket *socket_check(lua_State *L, unsigned classes, const char *role) {
    return check_box(L, classes, role)->socket;
}

void socket_become(lua_State *L, int index, enum socket_class class) {
    struct socket_box *box = socket_test(L, index);
    index = lua_absindex(L, index);
    box->mark = &marks[class];
    box->socket->class = class;
    push_metatable(L, class);
    lua_setmetatable(L, index);
}

/* ---- methods ---- */

static int method_close(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    if (s != NULL) {
        socket_close(s);
    }
    lua_pushinteger(L, 1);
    return 1;
}

/* __gc and __close: no results, no errors. */
static int method_gc(lua_State *L) {
    struct socket_box *box = socket_test(L, 1);
    if (box != NULL && box->socket != NULL) {
        socket_close(box->socket);
    }
    return 0;
}

/* ---- methods of all sockets ---- */

static int method_tostring(lua_State *L) {
    struct socket_box *box = check_box(L, ANY_SOCKET, "any");
    lua_pushfstring(L, "%s: %p", class_names[socket_class(box)], lua_topointer(L, 1));
    return 1;
}

static int method_settimeout(lua_State *L) {
    struct timeout *timeout = &check_box(L, ANY_SOCKET, "any")->timeout;
    double seconds = task_opt_seconds(L, 2);
    const char *mode = luaL_optstring(L, 3, "b");
    switch (*mode) {
    case 'b': timeout->block = seconds; break;
    case 'r':
    case 't': timeout->total = seconds; break;
    default: luaL_argcheck(L, 0, 3, "invalid timeout mode");
    }
    lua_pushinteger(L, 1);
    return 1;
}

static int method_gettimeout(lua_State *L) {
    const struct timeout *timeout = &check_box(L, ANY_SOCKET, "any")->timeout;
    lua_pushnumber(L, timeout->block);
    lua_pushnumber(L, timeout->total);
    return 2;
}

/* How much setstats has added to the count of received bytes. It is kept in a table of the few objects
 * that setstats was called on, since peek and skip need the count itself. */
#define RESTATED "lariat.restated"

static lua_Integer get_restated(lua_State *L) {
    lua_Integer added = 0;
    if (lua_getfield(L, LUA_REGISTRYINDEX, RESTATED) == LUA_TTABLE) {
        lua_pushvalue(L, 1);
        lua_rawget(L, -2);
        added = lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return added;
}

static void set_restated(lua_State *L, lua_Integer added) {
    if (!luaL_getsubtable(L, LUA_REGISTRYINDEX, RESTATED)) {
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "k");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
    }
    lua_pushvalue(L, 1);
    lua_pushinteger(L, added);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static int method_getstats(lua_State *L) {
    struct socket_box *box = check_box(L, HAS_STATS, "client");
    lua_pushinteger(L, (lua_Integer)box->received + get_restated(L));
    lua_pushinteger(L, (lua_Integer)box->sent);
    lua_pushnumber(L, (double)clock_now() / 1e9 - box->born);
    return 3;
}

static uint64_t opt_bytes(lua_State *L, int index, uint64_t otherwise) {
    lua_Number n = luaL_optnumber(L, index, (lua_Number)otherwise);
    luaL_argcheck(L, n > -9e15 && n < 9e15, index, "number of bytes expected");
    return (uint64_t)(int64_t)n;
}

static int method_setstats(lua_State *L) {
    struct socket_box *box = check_box(L, HAS_STATS, "client");
    if (!lua_isnoneornil(L, 2)) {
        set_restated(L, (lua_Integer)(opt_bytes(L, 2, 0) - box->received));
    }
    box->sent = opt_bytes(L, 3, box->sent);
    if (lua_isnumber(L, 4)) {
        box->born = (double)clock_now() / 1e9 - lua_tonumber(L, 4);
    }
    lua_pushinteger(L, 1);
    return 1;
}

static int method_dirty(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_pushboolean(L, s != NULL && (input_size(s) > 0 || datagrams_waiting(s)));
    return 1;
}

/* Others have the descriptor, or had it: they may have sent or received, or set SO_LINGER. */
static void share(struct socket *s) {
    watch_expose(&s->watch);
    s->watch.drained = false;
    s->out.wrote = s->out.lingers = true;
}

/* getfd() -> the descriptor, which others are going to use: so nothing may be held back any more. */
static int method_getfd(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    if (s != NULL && s->watch.fd >= 0) {
        outputs_flush();
        if (!socket_awaited(s) && !s->out.blocked) {
            watch_stop(&s->watch);
        }
        share(s);
    }
    lua_pushinteger(L, s ? s->watch.fd : -1);
    return 1;
}

/* Raises unless the descriptor can become this socket's. */
static void check_descriptor(lua_State *L, const struct socket *s, lua_Integer fd) {
    const struct driver *driver = s->watch.driver;
    luaL_argcheck(L, fd >= -1 && fd <= INT_MAX, 2, "descriptor expected, or -1 for none");
    struct watch *other = fd >= 0 ? driver->watch_of((int)fd) : NULL;
    luaL_argcheck(L, other == NULL || other == &s->watch, 2,
                  "descriptor belongs to another socket");
    int err = fd >= 0 && driver->adopt != NULL ? driver->adopt((int)fd) : 0;
    if (err < 0) {
        luaL_argerror(L, 2, lua_pushfstring(L, "descriptor %d: %s", (int)fd, result_message(err)));
    }
}

/* setfd(descriptor): the old one is not closed, as in LuaSocket: it is the caller's now. */
static int method_setfd(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_Integer fd = luaL_checkinteger(L, 2);
    if (s == NULL) {
        return 0;
    }
    outputs_flush();
    if (s->out.size > 0) {
        location_error(L, "'setfd': what was sent has not gone out yet (flush first)");
    }
    check_descriptor(L, s, fd);
    watch_stop(&s->watch);
    s->eof = false;
    s->out = (struct output){.immediate = s->out.immediate, .corked = s->out.corked};
    share(s);
    s->watch.fd = (int)fd;
    waitq_wake_all(&s->watch.readers, WAKE_READY); /* the old one is watched no more */
    waitq_wake_all(&s->watch.writers, WAKE_READY);
    return 0;
}

const luaL_Reg socket_shared_methods[] = {
    {"close", method_close},
    {"settimeout", method_settimeout},
    {"getstats", method_getstats},
    {"gettimeout", method_gettimeout},
    {"setstats", method_setstats},
    {"dirty", method_dirty},
    {"getfd", method_getfd},
    {"setfd", method_setfd},
    {"__gc", method_gc},
    {"__close", method_gc},
    {"__tostring", method_tostring},
    {NULL, NULL},
};

/* ---- classes ---- */

/* Adds methods to the table on top of the stack, and metamethods to the metatable below it. */
static void add_methods(lua_State *L, const luaL_Reg *methods) {
    for (const luaL_Reg *m = methods; m->name != NULL; m++) {
        lua_pushcfunction(L, m->func);
        lua_setfield(L, strncmp(m->name, "__", 2) == 0 ? -3 : -2, m->name);
    }
}

/* Makes and pushes the metatable of a class. A key that is set early gets its main position in the table,
 * where it is found fastest: so "__index" is the first, and the methods that every message needs. */
static void make_class(lua_State *L, enum socket_class class) {
    lua_createtable(L, 0, 8);
    lua_createtable(L, 0, 40);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    for (const struct socket_methods *list = class_methods; list->classes != 0; list++) {
        if (list->classes & CLASS(class)) {
            add_methods(L, list->methods);
        }
    }
    lua_pushstring(L, class_names[class]);
    lua_setfield(L, -2, "class");
    lua_pop(L, 1);
    lua_pushstring(L, class_names[class]);
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &class_names[class]);
}

/* methods(class) -> the methods table of a class, for lua/socket.lua to add conveniences to. */
int socket_methods_of(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (int class = 0; class < SOCKET_CLASSES; class ++) {
        if (strcmp(name, class_names[class]) == 0) {
            push_metatable(L, class);
            lua_getfield(L, -1, "__index");
            return 1;
        }
    }
    return luaL_argerror(L, 1, "unknown socket class");
}
