/* SPDX-License-Identifier: MIT
 *
 * The socket object: classes, creation, adoption of descriptors, close, and the methods all sockets
 * share. socket.h states who owns what.
 *
 * `close`, `__gc` and `__close` are the same idempotent function and never yield. What a closed
 * socket has yet to send goes on in the background (a drain), bounded by DRAIN_NS without progress;
 * SO_LINGER with time 0 discards it instead.
 */
#include "socket.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <string.h>

#include "datagram.h"
#include "driver.h"
#include "module.h"
#include "options.h"
#include "result.h"
#include "runtime.h"

#define HAS_STATS (ANY_STREAM | ANY_DGRAM)
#define DRAIN_NS (30ull * 1000 * 1000 * 1000)

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

/* Addresses of the metatables: comparing one is seven times faster than luaL_checkudata. */
static const void *metatables[SOCKET_CLASSES];

/* ---- objects ---- */

/* The userdata at `index` if its metatable is that of one of the classes. */
static struct socket_box *box_of(lua_State *L, int index, unsigned classes) {
    struct socket_box *box = lua_touserdata(L, index);
    if (box == NULL || !lua_getmetatable(L, index)) {
        return NULL;
    }
    const void *metatable = lua_topointer(L, -1);
    lua_pop(L, 1);
    for (unsigned left = classes; left != 0; left &= left - 1) {
        if (metatables[__builtin_ctz(left)] == metatable) {
            return box;
        }
    }
    return NULL;
}

struct socket_box *socket_test(lua_State *L, int index) {
    return box_of(L, index, ANY_SOCKET);
}

/* The family, "tcp" of "tcp{client}", is the object's own if the method knows it. */
static const char *expected_family(const struct socket_box *box, unsigned classes) {
    for (int class = 0; box != NULL && class < SOCKET_CLASSES; class ++) {
        const char *own = class_names[box->class];
        size_t length = strcspn(own, "{");
        if ((classes & CLASS(class)) && strncmp(class_names[class], own, length + 1) == 0) {
            return own;
        }
    }
    return class_names[__builtin_ctz(classes)];
}

static void wrong_class(lua_State *L, const struct socket_box *box, unsigned classes,
                        const char *role) {
    const char *name = expected_family(box, classes);
    lua_pushlstring(L, name, strcspn(name, "{"));
    luaL_argerror(L, 1, lua_pushfstring(L, "%s{%s} expected", lua_tostring(L, -1), role));
}

static struct socket_box *check_box(lua_State *L, unsigned classes, const char *role) {
    struct socket_box *box = box_of(L, 1, classes);
    if (box == NULL) {
        wrong_class(L, socket_test(L, 1), classes, role);
    }
    return box;
}

struct socket *socket_check(lua_State *L, unsigned classes, const char *role) {
    return check_box(L, classes, role)->socket;
}

struct socket *socket_new(lua_State *L, enum socket_class class, int family) {
    return socket_new_at(L, class, family, place_here(L));
}

struct socket *socket_new_at(lua_State *L, enum socket_class class, int family, struct place at) {
    if (rt.closing) {
        luaL_error(L, "the runtime is closing: no socket can be made");
    }
    struct socket_box *box = lua_newuserdatauv(L, sizeof(*box), 0);
    *box = (struct socket_box){.class = class};
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class_names[class]);
    lua_setmetatable(L, -2);
    struct socket *s = runtime_alloc(sizeof(*s));
    *s = (struct socket){.box = box, .class = class, .family = family};
    watch_init(&s->watch, rt.driver, -1);
    s->watch.flush = output_on_writable;
    s->timeout = (struct timeout){-1, -1};
    s->drain.due = NEVER;
    s->born = (double)clock_now() / 1e9;
    s->made_at = at;
    s->owner = rt.tasks.current ? rt.tasks.current->owner : 0;
    s->all_next = rt.sockets.all;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s;
    }
    rt.sockets.all = s;
    box->socket = s;
    return s;
}

const char *socket_class_name(enum socket_class class) {
    return class_names[class];
}

int socket_type(const struct socket *s) {
    return CLASS(s->class) & ANY_DGRAM ? SOCK_DGRAM : SOCK_STREAM;
}

void socket_adopt(struct socket *s, int fd) {
    assert(s->watch.fd < 0);
    s->watch.fd = fd;
}

int socket_create_descriptor(struct socket *s, int family) {
    if (s->watch.fd >= 0) {
        return 0;
    }
    int fd = s->watch.driver->socket(family, socket_type(s), 0);
    if (fd < 0) {
        return fd;
    }
    s->family = family;
    socket_adopt(s, fd);
    options_start(s->watch.driver, fd, family, socket_type(s));
    int err = options_replay(s, fd);
    return err;
}

void socket_become(lua_State *L, int index, enum socket_class class) {
    struct socket_box *box = socket_test(L, index);
    index = lua_absindex(L, index);
    box->class = class;
    box->socket->class = class;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class_names[class]);
    lua_setmetatable(L, index);
}

/* ---- the end of a life ---- */

static void unlink_socket(struct socket *s) {
    *(s->all_prev ? &s->all_prev->all_next : &rt.sockets.all) = s->all_next;
    if (s->all_next != NULL) {
        s->all_next->all_prev = s->all_prev;
    }
}

/* Lets go of the descriptor and queues the struct to be freed at the end of the tick. */
static void bury(struct socket *s) {
    if (s->watch.fd >= 0) {
        watch_stop(&s->watch);
        s->watch.driver->close(s->watch.fd);
        s->watch.fd = -1;
    }
    output_discard(s);
    timer_remove(&s->drain);
    unlink_socket(s);
    s->dead_next = rt.sockets.dead;
    rt.sockets.dead = s;
}

static void drain_expired(struct timer *timer) {
    struct socket *s = (struct socket *)((char *)timer - offsetof(struct socket, drain));
    socket_drained(s, -ETIMEDOUT);
}

void socket_drained(struct socket *s, int err) {
    if (err == -EAGAIN) {
        timer_set(&s->drain, clock_now() + DRAIN_NS);
        return;
    }
    s->draining = false;
    rt.sockets.draining--;
    bury(s);
}

static bool discards_on_close(struct socket *s) {
    struct linger linger = {0, 0};
    socklen_t length = sizeof(linger);
    int err = s->watch.driver->getsockopt(s->watch.fd, SOL_SOCKET, SO_LINGER, &linger, &length);
    return err == 0 && linger.l_onoff && linger.l_linger == 0;
}

static bool start_drain(struct socket *s) {
    if (output_pending(s) == 0 || discards_on_close(s) || output_flush(s) != -EAGAIN) {
        return false;
    }
    s->draining = true;
    rt.sockets.draining++;
    s->drain.fire = drain_expired;
    timer_set(&s->drain, clock_now() + DRAIN_NS);
    watch_arm(&s->watch, POLLOUT);
    return true;
}

void socket_close(struct socket *s) {
    if (s->closed) {
        return;
    }
    s->closed = true;
    if (s->box != NULL) {
        s->box->received = s->received;
        s->box->sent = s->sent;
        s->box->born = s->born;
        s->box->timeout = s->timeout;
        s->box->socket = NULL;
        s->box = NULL;
    }
    datagrams_release(s);
    datagrams_forget(s);
    waitq_wake_all(&s->watch.readers, WAKE_CLOSED);
    waitq_wake_all(&s->watch.writers, WAKE_CLOSED);
    if (!start_drain(s)) {
        bury(s);
    }
}

static bool awaited(const struct socket *s) {
    return s->watch.readers.first != NULL || s->watch.writers.first != NULL;
}

void sockets_free_dead(void) {
    struct socket **link = &rt.sockets.dead;
    while (*link != NULL) {
        struct socket *s = *link;
        if (awaited(s) || s->out.corked) {
            link = &s->dead_next;
            continue;
        }
        *link = s->dead_next;
        input_discard(s);
        options_forget(s);
        runtime_free(s);
    }
}

void sockets_close_all(void) {
    struct socket *next;
    for (struct socket *s = rt.sockets.all; s != NULL; s = next) {
        next = s->all_next;
        socket_close(s);
    }
}

void sockets_force_close(void) {
    struct socket *next;
    for (struct socket *s = rt.sockets.all; s != NULL; s = next) {
        next = s->all_next;
        if (s->draining) {
            socket_drained(s, -ETIMEDOUT);
        }
    }
}

void sockets_close(void) {
    outputs_free_blocks();
    runtime_free(rt.sockets.shared);
    rt.sockets.shared = NULL;
}

static int method_close(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    if (s != NULL) {
        socket_close(s);
    }
    lua_pushinteger(L, 1);
    return 1;
}

/* __gc and __close: nothing to say, and never an error. */
static int method_gc(lua_State *L) {
    struct socket_box *box = socket_test(L, 1);
    if (box != NULL && box->socket != NULL) {
        socket_close(box->socket);
    }
    return 0;
}

/* ---- what all sockets can be asked ---- */

static int method_tostring(lua_State *L) {
    struct socket_box *box = check_box(L, ANY_SOCKET, "any");
    lua_pushfstring(L, "%s: %p", class_names[box->class], lua_topointer(L, 1));
    return 1;
}

static struct timeout *timeout_of(lua_State *L, struct socket *s) {
    return s ? &s->timeout : &socket_test(L, 1)->timeout;
}

static int method_settimeout(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    double seconds = luaL_optnumber(L, 2, -1);
    const char *mode = luaL_optstring(L, 3, "b");
    struct timeout *timeout = timeout_of(L, s);
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
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_pushnumber(L, timeout_of(L, s)->block);
    lua_pushnumber(L, timeout_of(L, s)->total);
    return 2;
}

static int method_getstats(lua_State *L) {
    struct socket_box *box = check_box(L, HAS_STATS, "client");
    struct socket *s = box->socket;
    lua_pushinteger(L, (lua_Integer)(s ? s->received : box->received));
    lua_pushinteger(L, (lua_Integer)(s ? s->sent : box->sent));
    lua_pushnumber(L, (double)clock_now() / 1e9 - (s ? s->born : box->born));
    return 3;
}

static int method_setstats(lua_State *L) {
    struct socket *s = socket_check(L, HAS_STATS, "client");
    struct socket unused = {0};
    s = s ? s : &unused;
    s->received = (uint64_t)luaL_optnumber(L, 2, (lua_Number)s->received);
    s->sent = (uint64_t)luaL_optnumber(L, 3, (lua_Number)s->sent);
    if (lua_isnumber(L, 4)) {
        s->born = (double)clock_now() / 1e9 - lua_tonumber(L, 4);
    }
    lua_pushinteger(L, 1);
    return 1;
}

static int method_dirty(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_pushboolean(L, s != NULL && (input_size(s) > 0 || datagrams_waiting(s)));
    return 1;
}

/* The descriptor is about to be used by somebody else: nothing of it may be pending with us. */
static int method_getfd(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    if (s != NULL && s->watch.fd >= 0) {
        outputs_flush();
        if (!awaited(s) && !s->out.blocked) {
            watch_stop(&s->watch);
        }
        s->watch.drained = false;
    }
    lua_pushinteger(L, s ? s->watch.fd : -1);
    return 1;
}

/* As LuaSocket's: the old descriptor is not closed, it has a new owner. */
static int method_setfd(lua_State *L) {
    struct socket *s = socket_check(L, ANY_SOCKET, "any");
    lua_Integer fd = luaL_checkinteger(L, 2);
    if (s == NULL) {
        return 0;
    }
    struct watch *owner = fd >= 0 ? s->watch.driver->owner((int)fd) : NULL;
    luaL_argcheck(L, owner == NULL || owner == &s->watch, 2,
                  "descriptor belongs to another socket");
    outputs_flush();
    watch_stop(&s->watch);
    s->watch.drained = false;
    s->eof = false;
    s->watch.fd = fd < 0 ? -1 : (int)fd;
    waitq_wake_all(&s->watch.readers, WAKE_READY); /* nothing watches the old one for them */
    waitq_wake_all(&s->watch.writers, WAKE_READY);
    return 0;
}

static const luaL_Reg shared_methods[] = {
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

void socket_add_methods(lua_State *L, unsigned classes, const luaL_Reg *methods) {
    for (int class = 0; class < SOCKET_CLASSES; class ++) {
        if (!(classes & CLASS(class))) {
            continue;
        }
        lua_rawgetp(L, LUA_REGISTRYINDEX, &class_names[class]);
        lua_getfield(L, -1, "__index");
        for (const luaL_Reg *m = methods; m->name != NULL; m++) {
            lua_pushcfunction(L, m->func);
            lua_setfield(L, strncmp(m->name, "__", 2) == 0 ? -3 : -2, m->name);
        }
        lua_pop(L, 2);
    }
}

void socket_open_classes(lua_State *L) {
    for (int class = 0; class < SOCKET_CLASSES; class ++) {
        lua_createtable(L, 0, 8);
        metatables[class] = lua_topointer(L, -1);
        lua_createtable(L, 0, 40);
        lua_pushstring(L, class_names[class]);
        lua_setfield(L, -2, "class");
        lua_setfield(L, -2, "__index");
        lua_pushstring(L, class_names[class]);
        lua_setfield(L, -2, "__name");
        lua_rawsetp(L, LUA_REGISTRYINDEX, &class_names[class]);
    }
    socket_add_methods(L, ANY_SOCKET, shared_methods);
}

/* methods(class) -> the methods table of a class, for lua/socket.lua to add conveniences to. */
int socket_methods_of(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (int class = 0; class < SOCKET_CLASSES; class ++) {
        if (strcmp(name, class_names[class]) == 0) {
            lua_rawgetp(L, LUA_REGISTRYINDEX, &class_names[class]);
            lua_getfield(L, -1, "__index");
            return 1;
        }
    }
    return luaL_argerror(L, 1, "unknown socket class");
}
