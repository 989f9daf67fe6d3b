/* SPDX-License-Identifier: MIT
 *
 * The C half of serve: one task accepts, and each connection has a task of its own that runs the handler.
 * There may be very many of them, nearly all waiting, and they may come and go fast; so accepting is one
 * operation, however many connections it brings, and a handler's task has no Lua function below the
 * handler, no closure and no object. lua/lariat/internal/net/serve.lua decides what to do when accepting
 * fails.
 *
 * Invariants: however a handler ends, by an error, a cancellation or by returning, its connection is
 * closed, in its task and without waiting. However its task ends, also before it could run the handler,
 * `active` is decremented. The service lies on the stack of each of its tasks, which keeps it alive.
 */
#include <errno.h>
#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/methods.h"
#include "net/result.h"
#include "net/server.h"
#include "net/socket.h"
#include "task/task.h"

#define SERVICE_TYPE "lariat.service"

struct server {
    struct service service; /* first: see task_ended */
    lua_Number limit;       /* handlers at once */
    lua_Number timeout;     /* seconds, given to each connection; negative: none */
    lua_Integer accepted;   /* connections so far */
    int missing;            /* -errno that was reported: what there is too little of; 0: nothing */
    char name[];
};

static void push_name(lua_State *L, const struct service *service) {
    lua_pushstring(L, ((const struct server *)service)->name);
}

/* ---- a handler's task ---- */

/* Indices on its stack, once it has begun. */
enum { MESSAGE_HANDLER = 1, SERVICE, CONNECTION, HANDLER };

/* Was the error raised by lines() of the handler's own connection, because the client failed? Then there
 * is no mistake in the script that a traceback would help to find. */
static bool client_failed(lua_State *L) {
    lua_Debug raised, outermost;
    const char *message = lua_tostring(L, 1);
    if (message == NULL || strstr(message, "socket busy") != NULL || !lua_getstack(L, 1, &raised)) {
        return false;
    }
    lua_getinfo(L, "f", &raised);
    if (lua_tocfunction(L, -1) == NULL) {
        return false;
    }
    for (int level = 1; lua_getstack(L, level, &outermost); level++) {
    }
    const char *name = lua_getlocal(L, &outermost, CONNECTION);
    const struct socket_box *box = name != NULL ? socket_test(L, -1) : NULL;
    return box != NULL && receive_is_lines_of(L, 2, box);
}

/* The message handler that handlers run under. */
static int keep_traceback(lua_State *L) {
    bool alone = client_failed(L);
    lua_settop(L, 1);
    if (!alone) {
        return task_keep_traceback(L);
    }
    lua_pushcfunction(L, report_adopt_traceback);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 1);
    lua_call(L, 2, 0);
    return 1;
}

/* The error is at index HANDLER. */
static void report_failure(lua_State *L, struct task *task, const struct address *peer) {
    lua_pushcfunction(L, report_error);
    lua_pushvalue(L, HANDLER);
    lua_pushfstring(L, "error in handler of %s: ", ((struct server *)task->service)->name);
    lua_pushliteral(L, "task ");
    task_push_name(L, task);
    lua_pushliteral(L, ", peer ");
    if (peer->length > 0) {
        address_push_text(L, peer);
    } else {
        lua_pushliteral(L, "unknown");
    }
    lua_concat(L, 5);
    task_push(L, task);
    task_push_traceback(L, lua_gettop(L));
    lua_remove(L, -2);
    lua_call(L, 3, 0);
}

static int handled(lua_State *L, int status, lua_KContext ctx) {
    struct task *task = scheduler.current;
    const struct socket_box *box = lua_touserdata(L, CONNECTION);
    struct address peer = {.length = 0};
    (void)ctx;
    task->record.outcome = status == LUA_OK || status == LUA_YIELD ? TASK_RETURNED
                           : task_is_cancelled_value(L, HANDLER)   ? TASK_CANCELLED
                                                                   : TASK_FAILED;
    if (box->socket != NULL) {
        if (task->record.outcome == TASK_FAILED) {
            peer.length = socket_peer(box->socket, &peer) ? peer.length : 0;
        }
        socket_close(box->socket);
    }
    if (task->record.outcome == TASK_FAILED) {
        report_failure(L, task, &peer);
    }
    return task->record.outcome == TASK_RETURNED ? 0 : 1;
}

/* (service, connection, handler) */
static int body(lua_State *L) {
    lua_pushcfunction(L, keep_traceback);
    lua_insert(L, MESSAGE_HANDLER);
    lua_pushvalue(L, CONNECTION);
    return handled(L, lua_pcallk(L, 1, 0, MESSAGE_HANDLER, 0, handled), 0);
}

/* A task that ended before its body could begin, for want of memory, still has the body and its arguments
 * on its stack, where a running one has the message handler and the same arguments. */
static void task_ended(struct task *task) {
    if (lua_tocfunction(task->co, 1) == body) {
        const struct socket_box *box = lua_touserdata(task->co, CONNECTION);
        if (box->socket != NULL) {
            socket_close(box->socket);
        }
    }
}

/* ---- accepting ---- */

/* Indices on the stack of accept. */
enum { SELF = 1, SERVER, FUNCTION };

/* Starts a task for the connection on top of the stack, and pops it. */
static void start(lua_State *L, struct server *server) {
    struct socket_box *box = lua_touserdata(L, -1);
    box->timeout.block = server->timeout;
    lua_pushvalue(L, SELF);
    lua_insert(L, -2);
    lua_pushvalue(L, FUNCTION);
    struct task *task = task_start(L, body, 2, box->socket->made_at, (struct location){0, 0});
    service_join(&server->service, task);
    task->record.quiet = true;
    server->accepted++;
}

static int failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

/* Has the machine too little of something, for now? */
static bool is_missing(int err) {
    switch (-err) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSR: return true;
    default: return false;
    }
}

/* Is the connection or the machine the matter, and not the listener? Linux reports the network errors
 * of a connection that has ended before it was accepted: see accept(2). */
static bool passes(int err) {
    switch (-err) {
    case EHOSTDOWN: /* the new connection's errors */
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM: /* a firewall's */
    case EPROTO:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
    case ETIMEDOUT: return true;
    default: return is_missing(err);
    }
}

/* Says what is missing, once: until that changes, or everybody who came has been accepted. */
static void report_missing(lua_State *L, struct server *server, int err) {
    if (server->missing == err) {
        return;
    }
    server->missing = err;
    lua_pushcfunction(L, report_error);
    lua_pushfstring(L, "%s%s; connections wait until there is room", result_message(err),
                    err == -EMFILE ? " (ulimit -n)" : "");
    lua_pushfstring(L, "%s cannot accept", server->name);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        lua_pop(L, 1); /* no memory even for that */
    }
}

/* Accepting has failed: WANT_PAUSE, or results. */
static int accept_failed(lua_State *L, struct op *op, struct server *server, int err) {
    if (!passes(err)) {
        return result_fail(L, err);
    }
    if (is_missing(err)) {
        report_missing(L, server, err);
    }
    return op->socket->closed ? failed(L, op, "closed") : WANT_PAUSE;
}

/* Accepts until no connection is left, the turn is used up, or the limit of handlers is reached. Other
 * tasks that accept from this server get a chance after each connection. */
static int attempt(lua_State *L, struct op *op) {
    struct server *server = lua_touserdata(L, SELF);
    while ((lua_Number)server->service.members < server->limit) {
        if (op->socket->closed) {
            return failed(L, op, "closed"); /* closed by a finalizer */
        }
        int err = server_accept(L, op);
        if (err == -EAGAIN) {
            server->missing = 0;
            return WANT_READ;
        }
        if (err < 0) {
            return accept_failed(L, op, server, err);
        }
        op->pauses = 0;
        start(L, server);
        op->queued = false;
        if (scheduler.budget <= 0) {
            return WANT_TURN;
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const struct op_type accept_op = {"accept", attempt, failed, NULL};

static struct server *check_server(lua_State *L) {
    return luaL_checkudata(L, SELF, SERVICE_TYPE);
}

/* accept(server, handler): a task for each connection -> true once there are as many as there may
 * be | nil, message. What may pass (no descriptors, a network that is down) is tried again, after a
 * pause that grows. */
static int method_accept(lua_State *L) {
    check_server(L);
    const struct socket_box *box = socket_test(L, SERVER);
    luaL_argcheck(L, box != NULL && (CLASS(socket_class(box)) & ANY_SERVER), SERVER,
                  "server expected");
    luaL_checktype(L, FUNCTION, LUA_TFUNCTION);
    lua_settop(L, FUNCTION);
    struct op op;
    op_init(&op, &accept_op, box->socket);
    return op.socket ? op_run(L, &op) : result_error(L, "closed");
}

/* ---- the service ---- */

/* wait(): until there is room for another handler */
static int method_wait(lua_State *L) {
    struct service *service = &check_server(L)->service;
    return service_wait(L, service, service->members);
}

/* finish(): until no handler runs any more */
static int method_finish(lua_State *L) {
    return service_wait(L, &check_server(L)->service, 1);
}

/* accepted() -> connections so far */
static int method_accepted(lua_State *L) {
    lua_pushinteger(L, check_server(L)->accepted);
    return 1;
}

/* __close: cancels every handler */
static int method_cancel(lua_State *L) {
    service_cancel(&check_server(L)->service);
    return 0;
}

/* service(name, limit, timeout) -> a service */
static int service_new(lua_State *L) {
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    struct server *server = lua_newuserdatauv(L, sizeof(*server) + length + 1, 0);
    *server =
        (struct server){.service = {.ended = task_ended, .push_name = push_name, .what = "serve"},
                        .limit = luaL_checknumber(L, 2),
                        .timeout = luaL_optnumber(L, 3, -1)};
    memcpy(server->name, name, length + 1);
    luaL_setmetatable(L, SERVICE_TYPE);
    return 1;
}

void service_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"accept", method_accept},
                                       {"wait", method_wait},
                                       {"finish", method_finish},
                                       {"accepted", method_accepted},
                                       {NULL, NULL}};
    luaL_newmetatable(L, SERVICE_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, method_cancel);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    lua_pushcfunction(L, service_new);
}
