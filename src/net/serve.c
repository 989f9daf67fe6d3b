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

struct service {
    struct task_service head; /* first: task_ended() casts */
    lua_Number limit;         /* handlers at once */
    lua_Number timeout;       /* seconds, given to each connection; negative: none */
    lua_Integer active;       /* handlers now */
    lua_Integer accepted;     /* connections so far */
    struct waitq waiting;     /* tasks that wait for handlers to end */
    char text[];              /* the name */
};

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
    lua_pushfstring(L, "error in handler of %s: ", task->service->name);
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
    struct service *service = (struct service *)task->service;
    if (lua_tocfunction(task->co, 1) == body) {
        const struct socket_box *box = lua_touserdata(task->co, CONNECTION);
        if (box->socket != NULL) {
            socket_close(box->socket);
        }
    }
    service->active--;
    waitq_wake_all(&service->waiting, WAKE_READY);
}

/* ---- accepting ---- */

/* Indices on the stack of accept. */
enum { SELF = 1, SERVER, FUNCTION };

/* Starts a task for the connection on top of the stack, and pops it. */
static void start(lua_State *L, struct service *service) {
    struct socket_box *box = lua_touserdata(L, -1);
    box->timeout.block = service->timeout;
    lua_pushvalue(L, SELF);
    lua_insert(L, -2);
    lua_pushvalue(L, FUNCTION);
    struct task *task = task_start(L, body, 2, box->socket->made_at, (struct location){0, 0});
    task->service = &service->head;
    task->record.quiet = true;
    service->active++;
    service->accepted++;
}

static int failed(lua_State *L, struct op *op, const char *why) {
    (void)op;
    return result_error(L, why);
}

/* May accepting succeed later? Yes, if the error is of one connection, or if resources are short. Linux
 * reports the network errors of a connection that has ended before it was accepted: see accept(2). */
static bool is_passing(int err) {
    switch (-err) {
    case EMFILE: /* resources */
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSR:
    case EHOSTDOWN: /* the connection's */
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
    default: return false;
    }
}

static int accept_failed(lua_State *L, int err) {
    int n = result_fail(L, err);
    lua_pushboolean(L, is_passing(err));
    return n + 1;
}

/* Accepts until no connection is left, the turn is used up, or the limit of handlers is reached. Other
 * tasks that accept from this server get a chance after each connection. */
static int attempt(lua_State *L, struct op *op) {
    struct service *service = lua_touserdata(L, SELF);
    while ((lua_Number)service->active < service->limit) {
        if (op->socket->closed) {
            return failed(L, op, "closed"); /* closed by a finalizer */
        }
        int err = server_accept(L, op);
        if (err < 0) {
            return err == -EAGAIN ? WANT_READ : accept_failed(L, err);
        }
        start(L, service);
        op->queued = false;
        if (scheduler.budget <= 0) {
            return WANT_TURN;
        }
    }
    lua_pushboolean(L, 1);
    return 1;
}

static const struct op_type accept_op = {"accept", attempt, failed, NULL};

static struct service *check_service(lua_State *L) {
    return luaL_checkudata(L, SELF, SERVICE_TYPE);
}

/* accept(server, handler): a task for each connection -> true once there are as many as there may
 * be | nil, message, whether accepting may succeed later */
static int method_accept(lua_State *L) {
    check_service(L);
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

static int wait_below(lua_State *L, int status, lua_KContext ctx) {
    struct service *service = lua_touserdata(L, SELF);
    if (status == LUA_YIELD && task_resumed() == WAKE_CANCELLED) {
        return task_raise(L);
    }
    if (service->active < (lua_Integer)ctx) {
        return 0;
    }
    task_prepare(L, "serve");
    struct task *task = scheduler.current;
    waitq_join(&service->waiting, &task->interest, task, false);
    return task_park(L, "serve", NEVER, false, ctx, wait_below);
}

/* wait(): until a handler has ended */
static int method_wait(lua_State *L) {
    return wait_below(L, LUA_OK, (lua_KContext)check_service(L)->active);
}

/* finish(): until no handler runs any more */
static int method_finish(lua_State *L) {
    check_service(L);
    return wait_below(L, LUA_OK, 1);
}

/* accepted() -> connections so far */
static int method_accepted(lua_State *L) {
    lua_pushinteger(L, check_service(L)->accepted);
    return 1;
}

/* __close: cancels every handler */
static int method_cancel(lua_State *L) {
    const struct service *service = check_service(L);
    for (struct task *task = scheduler.all; task != NULL; task = task->all_next) {
        if (task->service == &service->head) {
            task_cancel(task);
        }
    }
    return 0;
}

/* service(name, limit, timeout) -> a service */
static int service_new(lua_State *L) {
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    struct service *service = lua_newuserdatauv(L, sizeof(*service) + length + 1, 0);
    *service = (struct service){
        .head = {task_ended}, .limit = luaL_checknumber(L, 2), .timeout = luaL_optnumber(L, 3, -1)};
    memcpy(service->text, name, length + 1);
    service->head.name = service->text;
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
