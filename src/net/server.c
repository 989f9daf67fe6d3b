/* SPDX-License-Identifier: MIT
 *
 * listen and accept, the same for TCP and unix streams. Tasks that accept from one server get connections
 * in the order in which they came. The accepted socket inherits TCP_NODELAY from its listener (Linux), so accepting costs one
 * system call.
 */
#include "net/server.h"

#include <errno.h>
#include <lauxlib.h>

#include "kernel/driver.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/socket.h"

#define DEFAULT_BACKLOG 32 /* LuaSocket's */

static enum socket_class relative(const struct socket *s, enum socket_class tcp,
                                  enum socket_class unix_stream) {
    return CLASS(s->class) & ANY_UNIX ? unix_stream : tcp;
}

/* listen([backlog]) -> 1 | nil, message; the object becomes a server */
static int method_listen(lua_State *L) {
    struct socket *s = socket_check(L, ANY_MASTER, "master");
    lua_Integer backlog = luaL_optinteger(L, 2, DEFAULT_BACKLOG);
    luaL_argcheck(L, backlog >= INT32_MIN && backlog <= INT32_MAX, 2, "backlog out of range");
    if (s == NULL) {
        return result_error(L, "closed");
    }
    int err = s->watch.driver->listen(s->watch.fd, (int)backlog);
    if (err == 0) {
        socket_become(L, 1, relative(s, TCP_SERVER, UNIX_SERVER));
    }
    return result_ok(L, err < 0 ? err : 1);
}

static int accept_failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

/* The script's line that accepts. Looking it up takes a tenth of an accept's instructions; so outside of
 * tests it is looked up once for each listener, since hardly any is accepted from in two places. */
static struct location accepting_line(lua_State *L, struct socket *s) {
    if (s->accept_at.file == 0 || sockets.exact_locations) {
        s->accept_at = location_here(L);
    }
    return s->accept_at;
}

/* A connection that has been accepted and has no object yet. Making one may raise, for want of memory: a
 * connection that is still here at the end of the tick has none, and is closed. */
static struct {
    const struct driver *driver; /* NULL: there is none */
    int fd;
} orphan;

void accept_close_orphan(void) {
    if (orphan.driver != NULL) {
        struct linger off = {0, 0}; /* it may have inherited a time to wait */
        orphan.driver->setsockopt(orphan.fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
        orphan.driver->close(orphan.fd);
        orphan.driver = NULL;
    }
}

static struct socket *make_client(lua_State *L, struct socket *s, int fd) {
    bool outermost = orphan.driver == NULL; /* a finalizer may run meanwhile, and accept as well */
    if (outermost) {
        orphan.driver = s->watch.driver;
        orphan.fd = fd;
    }
    enum socket_class class = relative(s, TCP_CLIENT, UNIX_CLIENT);
    struct socket *client = socket_new_at(L, class, s->family, accepting_line(L, s));
    socket_adopt(client, fd);
    client->out.lingers = s->out.lingers; /* inherited, as SO_LINGER is (Linux) */
    if (outermost) {
        orphan.driver = NULL;
    }
    return client;
}

int server_accept(lua_State *L, struct op *op) {
    struct socket *s = op->socket;
    int fd;
    if (!op->queued && waitq_has_exclusive(&s->watch.readers)) {
        return -EAGAIN;
    }
    task_spent(1);
    do {
        struct sockaddr_storage peer;
        socklen_t length = sizeof(peer);
        fd = s->watch.driver->accept(s->watch.fd, &peer, &length);
    } while (fd == -ECONNABORTED);
    if (fd < 0) {
        return fd;
    }
    make_client(L, s, fd)->connected = true;
    return 0;
}

static int attempt_accept(lua_State *L, struct op *op) {
    int err = server_accept(L, op);
    if (err == -EAGAIN) {
        return WANT_READ;
    }
    return err < 0 ? result_fail(L, err) : 1;
}

static const struct op_type accept_op = {"accept", attempt_accept, accept_failed, NULL};

/* accept() -> client socket | nil, message */
static int method_accept(lua_State *L) {
    struct op op;
    op_init(&op, &accept_op, socket_check(L, ANY_SERVER, "server"));
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

const luaL_Reg server_methods[] = {
    {"listen", method_listen},
    {"accept", method_accept},
    {NULL, NULL},
};
