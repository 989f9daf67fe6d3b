/* SPDX-License-Identifier: MIT
 *
 * What ends code that does not wait: Ctrl-C, SIGTERM and a test's time limit reach even
 * `while true do end`, because their handlers set a hook on the coroutine that runs. (libuv's
 * signals only arrive between ticks.)
 *
 * SIGINT and SIGTERM cancel every task, so that `<close>` variables run, and the process then dies
 * by the signal; a second one kills at once, and so does the first if a task that catches the
 * cancellation goes on computing. SIGUSR1 prints the dump and ends nothing. During teardown a hook
 * bounds what a task that catches its cancellation can still do.
 *
 * SIGPIPE ends the program in the same way if its standard output or error is what nobody reads any
 * more: print, io.write and C know no other end. Every other broken pipe is told by the call that
 * meets it. (Go's runtime has it so, too.) Ignoring the signal was rejected: exec passes that on, so
 * that `yes | head -1` in os.execute would run for ever; a handler is not passed on.
 */
#include "interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "dump.h"
#include "module.h"
#include "runtime.h"

#define TEARDOWN_REPEAT_US 50000
#define UNWIND_S 1      /* what a task that a signal has interrupted may go on without a wait */
#define LIMIT_REPEATS 3 /* times a task may catch the time limit's error */
#define LIMIT_UNHEARD 5 /* seconds after the limit that a call of C may go on */

static struct {
    uv_async_t async;                 /* wakes the loop from a handler */
    volatile sig_atomic_t pressed;    /* SIGINT while it interrupts a task only */
    volatile sig_atomic_t dump_asked; /* SIGUSR1 */
    volatile sig_atomic_t limit_hits; /* times the limit has passed and not been acted on */
    int limit_raised;
    int limited;       /* registry reference to the limited task */
    int interruptible; /* registry reference to the task that Ctrl-C interrupts */
    char limit_message[160];
    int give_up;        /* registry reference to what reports a limit that the task does not heed */
    char *limit_report; /* said in its place, and then what is remembered */
    char *remembered;
} state = {.limited = LUA_NOREF, .give_up = LUA_NOREF, .interruptible = LUA_NOREF};

static struct task *referenced(int reference) {
    struct task *task = NULL;
    if (reference != LUA_NOREF) {
        lua_rawgeti(rt.L, LUA_REGISTRYINDEX, reference);
        task = ((struct task_handle *)lua_touserdata(rt.L, -1))->task;
        lua_pop(rt.L, 1);
    }
    return task;
}

static void die_by_default(int number) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(number, &action, NULL);
}

/* ---- a limit that nothing heeds ---- */

static void say(const char *text) {
    ssize_t ignored = text != NULL ? write(STDERR_FILENO, text, strlen(text)) : 0;
    (void)ignored;
}

/* Async-signal-safe. */
static void say_last_words(void) {
    say("\nlariat: ");
    say(state.limit_message);
    say(", and could not be stopped");
    say(state.limit_report != NULL ? ": " : "\n");
    say(state.limit_report);
    say(state.remembered);
}

static void report_unheeded(lua_State *L) {
    if (state.give_up != LUA_NOREF && lua_checkstack(L, 1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, state.give_up);
        if (lua_pcall(L, 0, 0, 0) == LUA_OK) {
            return;
        }
        lua_pop(L, 1);
    }
    say_last_words();
}

/* ---- in the running coroutine ---- */

/* A task that outlives its cancellation is suspended for good; the scheduler then closes it. */
static void stop_running(lua_State *L) {
    if (lua_isyieldable(L)) {
        lua_yield(L, 0);
    } else {
        luaL_error(L, "still running at exit");
    }
}

static void dump_if_asked(lua_State *L) {
    if (state.dump_asked) {
        state.dump_asked = 0;
        dump_push_text(L, true);
        fflush(stdout);
        lua_writestringerror("%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
}

static void on_hook(lua_State *L, lua_Debug *frame) {
    (void)frame;
    lua_sethook(L, NULL, 0, 0);
    dump_if_asked(L);
    if (rt.closing) {
        if (state.limit_hits) { /* else it was set before teardown began: L is unwinding */
            state.limit_hits = 0;
            stop_running(L);
        }
        return;
    }
    if (rt.interrupted) {
        if (rt.exiting && state.limit_hits) { /* it was told, a while ago */
            fflush(NULL);
            die_by_default((int)rt.interrupted);
            raise((int)rt.interrupted);
        }
        rt.exiting = true;
        state.limit_hits = 0;
        alarm(UNWIND_S);
        task_push_cancelled_value(L);
        lua_error(L);
    }
    if (state.pressed) {
        state.pressed = 0;
        luaL_error(L, "interrupted!");
    }
    if (state.limit_hits) {
        state.limit_hits = 0;
        if (state.limit_raised++ >= LIMIT_REPEATS) {
            report_unheeded(L);
            fflush(NULL);
            _exit(EXIT_FAILURE);
        }
        luaL_error(L, "%s", state.limit_message);
    }
}

/* ---- handlers: async-signal-safe; lua_sethook is meant to be called from one ---- */

static void reach_running(void) {
    if (rt.running != NULL) {
        lua_sethook(rt.running, on_hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
    }
    uv_async_send(&state.async);
}

static void on_signal(int number) {
    if (number == SIGUSR1) {
        state.dump_asked = 1;
    } else if (number == SIGALRM) {
        state.limit_hits++;
        if (state.limit_hits > LIMIT_UNHEARD && state.limited != LUA_NOREF && !rt.closing) {
            say_last_words(); /* a call of C goes on and on: no hook runs */
            _exit(EXIT_FAILURE);
        }
    } else if (number == SIGINT && state.interruptible != LUA_NOREF) {
        state.pressed = 1;
    } else {
        rt.interrupted = number;
        die_by_default(number);
    }
    reach_running();
}

/* Is this descriptor the writing end of something whose reader has gone? */
static bool is_broken(int fd) {
    struct pollfd one = {.fd = fd};
    struct stat st;
    return poll(&one, 1, 0) > 0 && (one.revents & (POLLERR | POLLHUP)) && fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static void on_broken_pipe(int number) {
    int before = errno;
    if (!rt.writing && !rt.interrupted && (is_broken(STDOUT_FILENO) || is_broken(STDERR_FILENO))) {
        rt.interrupted = number;
        reach_running();
    }
    errno = before;
}

static void handle(int number) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (number == SIGPIPE) {
        action.sa_handler = on_broken_pipe;
    }
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void interrupt_restore(int number) {
    if (number == SIGINT || number == SIGTERM || number == SIGUSR1 || number == SIGPIPE) {
        handle(number);
    }
}

/* ---- in the loop ---- */

static void on_async(uv_async_t *async) {
    (void)async;
}

void interrupt_poll(void) {
    dump_if_asked(rt.L);
    if (rt.interrupted && !rt.exiting) {
        runtime_exit(1);
    }
    if (state.pressed) {
        struct task *task = referenced(state.interruptible);
        state.pressed = 0;
        if (task != NULL) {
            task_interrupt(task, "interrupted!");
        }
    }
    if (state.limit_hits) {
        struct task *task = referenced(state.limited);
        state.limit_hits = 0;
        if (task != NULL && state.limit_raised++ < LIMIT_REPEATS) {
            task_interrupt(task, state.limit_message);
        } else if (task != NULL) {
            report_unheeded(rt.L);
            runtime_exit(1);
        }
    }
}

void interrupt_open(void) {
    handle(SIGPIPE);
    uv_async_init(&rt.loop, &state.async, on_async);
    uv_unref((uv_handle_t *)&state.async);
    handle(SIGINT);
    handle(SIGTERM);
    handle(SIGALRM);
    handle(SIGUSR1);
}

void interrupt_close(void) {
    interrupt_after(0);
    die_by_default(SIGINT);
    die_by_default(SIGTERM);
    die_by_default(SIGALRM);
    die_by_default(SIGUSR1);
    die_by_default(SIGPIPE);
}

void interrupt_after(uint64_t ns) {
    struct itimerval timer = {{0, 0}, {0, 0}};
    timer.it_value.tv_sec = (time_t)(ns / 1000000000u);
    timer.it_value.tv_usec = (suseconds_t)(ns % 1000000000u / 1000);
    timer.it_interval.tv_usec = ns > 0 ? TEARDOWN_REPEAT_US : 0;
    state.limit_hits = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- for lua/lariat ---- */

/* In place of a text that a handler may be saying: the old one goes once the new one is there. */
static void replace(char **text, const char *with) {
    char *old = *text, *new = NULL;
    if (with != NULL) {
        new = runtime_alloc(strlen(with) + 1);
        strcpy(new, with);
    }
    *text = new;
    runtime_free(old);
}

/* limit(seconds, message [, report, give_up]): raise message in the current task after so long; if that
 * does not end it, call give_up, or say the report if nothing can be called, and end the process.
 * limit(0) takes it off. */
static int fn_limit(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    const char *report = luaL_optstring(L, 3, NULL);
    const char *message = luaL_optstring(L, 2, "time limit exceeded");
    struct itimerval timer = {{0, 0}, {0, 0}};
    luaL_argcheck(L, seconds >= 0 && seconds < 1e8, 1, "seconds out of range");
    luaL_unref(L, LUA_REGISTRYINDEX, state.limited);
    state.limited = LUA_NOREF;
    state.limit_hits = 0;
    state.limit_raised = 0;
    replace(&state.limit_report, report);
    luaL_unref(L, LUA_REGISTRYINDEX, state.give_up);
    lua_settop(L, 4);
    state.give_up = lua_isnil(L, 4) ? LUA_NOREF : luaL_ref(L, LUA_REGISTRYINDEX);
    if (seconds > 0 && rt.tasks.current != NULL) {
        task_push(L, rt.tasks.current);
        state.limited = luaL_ref(L, LUA_REGISTRYINDEX);
        strncpy(state.limit_message, message, sizeof(state.limit_message) - 1);
        timer.it_value.tv_sec = (time_t)seconds;
        timer.it_value.tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6) + 1;
        timer.it_interval.tv_sec = 1;
    }
    setitimer(ITIMER_REAL, &timer, NULL);
    return 0;
}

/* remember(text): to be said behind the report of a limit. */
static int fn_remember(lua_State *L) {
    replace(&state.remembered, luaL_checkstring(L, 1));
    return 0;
}

/* interruptible(task): Ctrl-C raises "interrupted!" in it and ends nothing; nil: as before. */
static int fn_interruptible(lua_State *L) {
    bool on = !lua_isnoneornil(L, 1);
    if (on) {
        task_check(L, 1);
    }
    luaL_unref(L, LUA_REGISTRYINDEX, state.interruptible);
    state.interruptible = LUA_NOREF;
    if (on) {
        lua_settop(L, 1);
        state.interruptible = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 0;
}

/* ending() -> has a signal come by which the process will die? */
static int fn_ending(lua_State *L) {
    lua_pushboolean(L, rt.interrupted != 0);
    return 1;
}

int interrupt_open_module(lua_State *L) {
    static const luaL_Reg functions[] = {{"limit", fn_limit},
                                         {"remember", fn_remember},
                                         {"interruptible", fn_interruptible},
                                         {"ending", fn_ending},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
