/* SPDX-License-Identifier: MIT
 *
 * Starting a child process: its arguments, environment, standard descriptors and limits.
 *
 * Invariant: everything Lua allocates exists before the first descriptor is opened, and nothing
 * raises after that, so a failed start leaves nothing behind. The child gets the descriptors 0, 1 and
 * 2 and no other, default signal actions (libuv resets them, SIGPIPE too) and the descriptor limit
 * that lariat was started with. A pipe for input="text" was rejected: a file in memory needs no task
 * to feed it, and no task waits for a child that never reads it.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/state.h"
#include "kernel/file.h"
#include "net/socket.h"
#include "process/process.h"

#define DESCRIPTORS_LEFT 32 /* below the limit, for those that uv_spawn itself opens */

extern char **environ;

/* ---- the child's standard descriptors ---- */

struct plan {
    uv_stdio_container_t stdio[3];
    int theirs[3];           /* descriptors that only the child is to keep; -1: none */
    struct socket *ours[3];  /* our ends of pipes; NULL: none */
    struct socket *given[3]; /* sockets that become the child's; NULL: none */
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

/* Makes a stream the child's descriptor i. Returns why that is impossible, or NULL. */
static const char *use_stream(struct plan *plan, int i, struct socket *s) {
    if (s == NULL || s->watch.fd < 0) {
        return "closed";
    }
    if (s->standard) {
        use(plan, i, s->standard - 1);
        return NULL;
    }
    if (input_size(s) > 0 || s->out.size > 0) {
        return "has data that was received and not read, or not yet sent";
    }
    plan->given[i] = s;
    watch_expose(&s->watch);
    use(plan, i, s->watch.fd);
    return NULL;
}

/* Prepares the child's descriptor i as the value at `index` says. Returns 0 or -errno; 0 with *why set
 * means that it cannot be done for that reason. */
static int plan_descriptor(lua_State *L, struct plan *plan, int i, int index, const char **why) {
    struct socket_box *box = socket_test(L, index);
    if (box != NULL) {
        *why = use_stream(plan, i, box->socket);
        return 0;
    }
    size_t size;
    const char *word = lua_tolstring(L, index, &size);
    switch (*word) {
    case 'p': /* "pipe" */ return open_pipe(plan, i);
    case 'i': /* "inherit" */ use(plan, i, i); return 0;
    case 's': /* "stdout", of stderr only */ plan->stdio[i] = plan->stdio[1]; return 0;
    case '=': /* "=text", of stdin only */ return open_text(plan, i, word + 1, size - 1);
    default: /* "null" */ return 0;
    }
}

/* Closes what is not ours any more: after the fork the child's descriptors and the sockets given to
 * it; if the start failed, both ends of the pipes. */
static void close_both(struct plan *plan, bool failed) {
    for (int i = 0; i < 3; i++) {
        struct socket *done = failed ? plan->ours[i] : plan->given[i];
        if (plan->theirs[i] >= 0) {
            close(plan->theirs[i]);
        }
        if (done != NULL) {
            socket_abort(done); /* not socket_close(): it would discard input of the child's */
        }
    }
}

/* ---- limits ---- */

/* Do the descriptors that uv_spawn opens stay below the limit that children get? */
static bool fits_below_limit(void) {
    int probe = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (probe >= 0) {
        close(probe);
    }
    return probe >= 0 && (rlim_t)probe + DESCRIPTORS_LEFT < rt.limits.rlim_cur;
}

/* Starts the child with the limit lowered around the fork. With too many descriptors open for that,
 * the limit is set in the running child. */
static int start_limited(struct process *p, uv_process_options_t *options) {
    struct rlimit raised;
    bool fits = fits_below_limit();
    bool lowered = fits && process_lower_limit(&raised);
    int err = process_start(p, options);
    if (lowered) {
        setrlimit(RLIMIT_NOFILE, &raised);
    } else if (!fits && err == 0) {
        prlimit(p->pid, RLIMIT_NOFILE, &rt.limits, NULL);
    }
    return err;
}

/* ---- for lua/lariat/internal/process/process.lua ---- */

/* Pushes a userdata with pointers to the strings of the list at `index`, as execve takes them; the
 * list keeps the strings alive. NULL, and nil pushed, if there is no list. */
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

/* Why a child cannot start in that directory; NULL: it can. */
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

/* The stack of spawn(): its arguments, then the vectors of execve, then its results. */
enum { ARGUMENTS = 1, ENVIRONMENT, CWD, STREAMS, VECTORS = STREAMS + 3, RESULTS = VECTORS + 2 };

/* Pushes our ends of pipes, as streams that are closed so far; nil for a descriptor without a pipe. */
static void push_streams(lua_State *L, struct plan *plan) {
    for (int i = 0; i < 3; i++) {
        const char *word = socket_test(L, STREAMS + i) ? "" : lua_tostring(L, STREAMS + i);
        if (strcmp(word, "pipe") == 0) {
            plan->ours[i] = socket_new(L, FILE_STREAM, AF_UNSPEC);
            plan->ours[i]->watch.driver = &driver_pipe;
        } else {
            lua_pushnil(L);
        }
    }
}

/* Opens the descriptors and forks. NULL, or the reason of a failure; *what names its object. */
static const char *execute(lua_State *L, struct plan *plan, struct process *p,
                           uv_process_options_t *options, const char **what) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    for (int i = 0; i < 3; i++) {
        const char *why = NULL;
        int err = plan_descriptor(L, plan, i, STREAMS + i, &why);
        if (err < 0 || why != NULL) {
            *what = names[i];
            return why ? why : strerror(-err);
        }
    }
    *what = options->cwd;
    const char *why = bad_directory(options->cwd);
    if (why != NULL) {
        return why;
    }
    *what = options->file;
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC); /* io.open sets no O_CLOEXEC */
    int err = start_limited(p, options);
    return err < 0 ? strerror(-err) : NULL;
}

/* spawn(arguments, environment, cwd, stdin, stdout, stderr) -> process and our ends of pipes
 * | nil, message. For each stream: "pipe", "inherit", "null", "stdout", "=text" or an object. */
static int process_spawn(lua_State *L) {
    if (rt.world != NULL) { /* an error that scripts expect: a program may always fail to start */
        lua_pushnil(L);
        lua_pushliteral(L, "lariat.run is not simulated: a host runs no other programs");
        return 2;
    }
    struct plan plan = {.theirs = {-1, -1, -1}};
    uv_process_options_t options = {.stdio = plan.stdio, .stdio_count = 3};
    const char *what = NULL;
    lua_settop(L, STREAMS + 2);
    if (rt.closing) {
        return luaL_error(L, "the runtime is closing: no process can be started");
    }
    options.args = push_vector(L, ARGUMENTS);
    options.env = push_vector(L, ENVIRONMENT);
    options.file = options.args[0];
    options.cwd = lua_tostring(L, CWD);
    struct process *p = process_new(L);
    push_streams(L, &plan);
    outputs_flush();
    fflush(stdout);
    const char *why = execute(L, &plan, p, &options, &what);
    close_both(&plan, why != NULL);
    if (why != NULL) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s: %s", what, why);
        return 2;
    }
    return lua_gettop(L) - RESULTS + 1;
}

/* environ() -> a table name = value of the environment that a child inherits */
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
    return 1;
}

int process_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"spawn", process_spawn},
                                         {"environ", process_environ},
                                         {"execute", shell_execute},
                                         {"popen", shell_popen},
                                         {NULL, NULL}};
    process_open_class(L);
    luaL_newlib(L, functions);
    return 1;
}
