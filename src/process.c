/* SPDX-License-Identifier: MIT
 *
 * Child processes: started by uv_spawn, waited for by tasks. lua/lariat/process.lua checks options
 * and gives scripts the object; here is what touches descriptors and libuv.
 *
 * Lua owns a struct process; the runtime owns the struct child from the start until libuv has let
 * its handle go, which is after the child has been reaped, also if Lua's half went long before: a
 * child nobody holds any more is ended (SIGTERM, a second later SIGKILL) and reaped in the
 * background. Invariant: everything Lua allocates exists before the fork; nothing raises after.
 * A pipe for input="text" was rejected: a file in memory needs no task to feed it and cannot block.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver_file.h"
#include "module.h"
#include "result.h"
#include "runtime.h"
#include "signals.h"
#include "socket.h"
#include "task.h"

#define PROCESS_TYPE "lariat.process"
#define PATIENCE_NS (1000ull * 1000 * 1000) /* between SIGTERM and SIGKILL */
#define SPARE_DESCRIPTORS 32                /* uv_spawn itself opens a few */

extern char **environ;

struct child {
    uv_process_t uv;         /* first: libuv hands it back */
    struct process *process; /* NULL: nobody holds it any more */
    struct child *prev, *next;
    struct timer patience;
};

struct process {
    struct child *child;     /* NULL: it has ended, or was given up by close */
    struct waitq waiters;
    int pid;
    bool ended;              /* and this is how: */
    int code, signal;
};

static struct child *children; /* not yet reaped */

/* ---- the end of a child ---- */

static void free_child(uv_handle_t *uv) {
    runtime_free(uv);
}

static void let_go(struct child *c) {
    *(c->prev ? &c->prev->next : &children) = c->next;
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    if (c->process != NULL) {
        c->process->child = NULL;
    }
    timer_remove(&c->patience);
    uv_close((uv_handle_t *)&c->uv, free_child);
}

static void on_exit_of(uv_process_t *uv, int64_t code, int number) {
    struct child *c = (struct child *)uv;
    struct process *p = c->process;
    if (p != NULL) {
        p->ended = true;
        p->code = (int)code;
        p->signal = number;
        waitq_wake_all(&p->waiters, WAKE_READY);
    }
    let_go(c);
}

static void out_of_patience(struct timer *timer) {
    struct child *c = (struct child *)((char *)timer - offsetof(struct child, patience));
    uv_process_kill(&c->uv, SIGKILL);
}

/* Nobody holds it any more: it is ended in the background. */
static void give_up(struct child *c) {
    if (c->process != NULL) {
        c->process->child = NULL;
        c->process = NULL;
        uv_process_kill(&c->uv, SIGTERM);
        timer_set(&c->patience, clock_now() + PATIENCE_NS);
    }
}

static void ignore(struct timer *timer) {
    (void)timer;
}

/* Waits, at most twice our patience, for the children that are left to end. */
void process_close_all(void) {
    struct timer bound = {.due = NEVER, .fire = ignore};
    uint64_t end = clock_now() + 2 * PATIENCE_NS;
    for (struct child *c = children; c != NULL; c = c->next) {
        give_up(c);
    }
    timer_set(&bound, end);
    while (children != NULL && clock_now() < end) {
        uv_run(&rt.loop, UV_RUN_ONCE);
    }
    timer_remove(&bound);
    while (children != NULL) {
        let_go(children);
    }
}

/* ---- the child's standard descriptors ---- */

struct plan {
    uv_stdio_container_t stdio[3];
    int theirs[3];             /* descriptors to close once the child has them; -1: none */
    struct socket *ours[3];    /* our ends of pipes */
    struct socket *given[3];   /* streams handed over */
};

static void use(struct plan *plan, int i, int fd) {
    plan->stdio[i].flags = UV_INHERIT_FD;
    plan->stdio[i].data.fd = fd;
}

static int open_pipe(struct plan *plan, int i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -errno;
    }
    int ours = ends[i == 0], theirs = ends[i != 0];
    plan->theirs[i] = theirs;
    use(plan, i, theirs);
    socket_adopt(plan->ours[i], ours);
    plan->ours[i]->connected = true;
    return fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* A file in memory with the text, to be read from its beginning. */
static int open_text(struct plan *plan, int i, const char *text, size_t size) {
    int fd = memfd_create("lariat-input", MFD_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    plan->theirs[i] = fd;
    use(plan, i, fd);
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        text += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* Why a stream cannot be handed over; NULL: it can, and is. */
static const char *use_stream(struct plan *plan, int i, struct socket *s) {
    if (s == NULL || s->watch.fd < 0) {
        return "closed";
    }
    if (s->standard) {
        use(plan, i, s->standard - 1);
        return NULL;
    }
    if (input_size(s) > 0 || output_pending(s) > 0) {
        return "has data that was received and not read, or not yet sent";
    }
    plan->given[i] = s;
    use(plan, i, s->watch.fd);
    return NULL;
}

/* The value at `index` says what descriptor i is to be: 0 or -errno, or *why it cannot be. */
static int plan_descriptor(lua_State *L, struct plan *plan, int i, int index, const char **why) {
    struct socket_box *box = socket_test(L, index);
    if (box != NULL) {
        *why = use_stream(plan, i, box->socket);
        return 0;
    }
    size_t size;
    const char *word = lua_tolstring(L, index, &size);
    switch (*word) {
    case 'p': /* "pipe" */
        return open_pipe(plan, i);
    case 'i': /* "inherit" */
        use(plan, i, i);
        return 0;
    case 's': /* "stdout", of stderr only */
        plan->stdio[i] = plan->stdio[1];
        return 0;
    case '=': /* "=text", of stdin only */
        return open_text(plan, i, word + 1, size - 1);
    default: /* "null" */
        return 0;
    }
}

static void close_theirs(struct plan *plan) {
    for (int i = 0; i < 3; i++) {
        if (plan->theirs[i] >= 0) {
            close(plan->theirs[i]);
        }
    }
}

static int refuse(lua_State *L, struct plan *plan, const char *what, const char *why) {
    close_theirs(plan);
    for (int i = 0; i < 3; i++) {
        if (plan->ours[i] != NULL) {
            socket_close(plan->ours[i]);
        }
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s: %s", what, why);
    return 2;
}

/* ---- starting ---- */

/* Children get the descriptor limit that lariat was started with. It is lowered around the fork if
 * what uv_spawn opens fits below; else the running child's is changed. */
static bool lower_limit(const struct rlimit *raised) {
    struct rlimit lowered = {.rlim_cur = rt.soft_descriptors, .rlim_max = raised->rlim_max};
    int probe = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (probe >= 0) {
        close(probe);
    }
    bool fits = probe >= 0 && (rlim_t)probe + SPARE_DESCRIPTORS < rt.soft_descriptors;
    return fits && setrlimit(RLIMIT_NOFILE, &lowered) == 0;
}

static int spawn_limited(uv_process_t *uv, const uv_process_options_t *options) {
    struct rlimit limit;
    if (rt.soft_descriptors == 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        return uv_spawn(&rt.loop, uv, options);
    }
    bool lowered = lower_limit(&limit);
    int err = uv_spawn(&rt.loop, uv, options);
    if (lowered) {
        setrlimit(RLIMIT_NOFILE, &limit);
    } else if (err == 0) {
        limit.rlim_cur = rt.soft_descriptors;
        prlimit(uv->pid, RLIMIT_NOFILE, &limit, NULL);
    }
    return err;
}

static int start(struct process *p, const uv_process_options_t *options) {
    struct child *c = runtime_alloc(sizeof(*c));
    *c = (struct child){.patience = {.due = NEVER, .fire = out_of_patience}};
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC); /* files of io.open */
    int err = spawn_limited(&c->uv, options);
    if (err < 0) {
        uv_close((uv_handle_t *)&c->uv, free_child);
        return err;
    }
    c->next = children;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    children = c;
    c->process = p;
    p->child = c;
    p->pid = c->uv.pid;
    return 0;
}

/* The strings of the list at `index`, for execve; anchored by the list and by the stack. */
static char **push_vector(lua_State *L, int index) {
    if (!lua_istable(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    lua_Integer n = luaL_len(L, index);
    const char **vector = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof(*vector), 0);
    for (lua_Integer i = 0; i < n; i++) {
        lua_rawgeti(L, index, i + 1);
        vector[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    vector[n] = NULL;
    return (char **)vector;
}

static const char *bad_directory(const char *path) {
    struct stat st;
    if (path == NULL) {
        return NULL;
    }
    if (stat(path, &st) < 0 || (S_ISDIR(st.st_mode) && access(path, X_OK) < 0)) {
        return strerror(errno);
    }
    return S_ISDIR(st.st_mode) ? NULL : strerror(ENOTDIR);
}

/* spawn(arguments, environment, cwd, stdin, stdout, stderr) -> process and our ends of pipes
 * | nil, message. For each stream: "pipe", "inherit", "null", "stdout", "=text" or an object. */
static int process_spawn(lua_State *L) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    enum { ARGUMENTS = 1, ENVIRONMENT, CWD, STREAMS, RESULTS = 9 };
    struct plan plan = {.theirs = {-1, -1, -1}};
    uv_process_options_t options = {.exit_cb = on_exit_of, .stdio = plan.stdio, .stdio_count = 3};
    lua_settop(L, STREAMS + 2);
    if (rt.closing) {
        return luaL_error(L, "the runtime is closing: no process can be started");
    }
    options.args = push_vector(L, ARGUMENTS);
    options.env = push_vector(L, ENVIRONMENT);
    options.file = options.args[0];
    options.cwd = lua_tostring(L, CWD);
    struct process *p = lua_newuserdatauv(L, sizeof(*p), 0);
    *p = (struct process){.child = NULL};
    luaL_setmetatable(L, PROCESS_TYPE);
    for (int i = 0; i < 3; i++) {
        const char *word = socket_test(L, STREAMS + i) ? "" : lua_tostring(L, STREAMS + i);
        if (strcmp(word, "pipe") == 0) {
            plan.ours[i] = socket_new(L, FILE_STREAM, AF_UNSPEC);
            plan.ours[i]->watch.driver = &driver_pipe;
        } else {
            lua_pushnil(L);
        }
    }
    outputs_flush();
    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        const char *why = NULL;
        int err = plan_descriptor(L, &plan, i, STREAMS + i, &why);
        if (err < 0 || why != NULL) {
            return refuse(L, &plan, names[i], why ? why : strerror(-err));
        }
    }
    const char *why = bad_directory(options.cwd);
    if (why != NULL) {
        return refuse(L, &plan, options.cwd, why);
    }
    int err = start(p, &options);
    if (err < 0) {
        return refuse(L, &plan, options.file, strerror(-err));
    }
    close_theirs(&plan);
    for (int i = 0; i < 3; i++) {
        if (plan.given[i] != NULL) {
            socket_close(plan.given[i]);
        }
    }
    return lua_gettop(L) - RESULTS + 1;
}

/* environ() -> name = value of everything a child inherits */
static int process_environ(lua_State *L) {
    lua_newtable(L);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        if (equals != NULL) {
            lua_pushlstring(L, *entry, (size_t)(equals - *entry));
            lua_pushstring(L, equals + 1);
            lua_rawset(L, -3);
        }
    }
    if (rt.own_pool_size) {
        lua_pushnil(L);
        lua_setfield(L, -2, "UV_THREADPOOL_SIZE");
    }
    return 1;
}

/* ---- methods ---- */

static int push_status(lua_State *L, const struct process *p) {
    if (!p->ended) {
        return result_error(L, "closed");
    }
    const char *name = p->signal ? signal_name(p->signal) : NULL;
    lua_pushstring(L, p->signal ? "signal" : "exit");
    if (name != NULL) {
        lua_pushstring(L, name);
    } else {
        lua_pushinteger(L, p->signal ? p->signal : p->code);
    }
    return 2;
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
    const struct process *p = lua_touserdata(L, 1);
    (void)status, (void)ctx;
    enum wake why = task_resumed();
    if (why == WAKE_CANCELLED) {
        return task_raise(L);
    }
    return p->child != NULL ? result_error(L, "timeout") : push_status(L, p);
}

/* wait([seconds]) -> "exit", code | "signal", name | nil, "timeout" | nil, "closed" */
static int method_wait(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    double seconds = luaL_optnumber(L, 2, -1);
    if (p->child == NULL) {
        return push_status(L, p);
    }
    task_prepare(L, "process:wait");
    struct task *task = rt.tasks.current;
    waitq_join(&p->waiters, &task->interest, task, false);
    return task_park(L, "process:wait", clock_after(seconds), true, 0, waited);
}

/* kill([signal]) -> true | nil, message */
static int method_kill(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    int number = lua_isnoneornil(L, 2) ? SIGTERM : signal_check(L, 2);
    if (p->child == NULL) {
        return result_error(L, p->ended ? "exited" : "closed");
    }
    int err = uv_process_kill(&p->child->uv, number);
    if (err < 0) {
        return result_fail(L, err);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int method_close(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    if (p->child != NULL) {
        give_up(p->child);
        waitq_wake_all(&p->waiters, WAKE_CLOSED);
    }
    return 0;
}

static int method_pid(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    lua_pushinteger(L, p->pid);
    return 1;
}

static int method_running(lua_State *L) {
    struct process *p = luaL_checkudata(L, 1, PROCESS_TYPE);
    lua_pushboolean(L, p->child != NULL);
    return 1;
}

int process_open(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"wait", method_wait}, {"kill", method_kill},       {"close", method_close},
        {"pid", method_pid},   {"running", method_running}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"spawn", process_spawn}, {"environ", process_environ}, {NULL, NULL}};
    luaL_newmetatable(L, PROCESS_TYPE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, method_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
