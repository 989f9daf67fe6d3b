/* SPDX-License-Identifier: MIT
 *
 * Interrupting code that does not wait: Ctrl-C, SIGTERM and a test's time limit reach even
 * `while true do end`, because their signal handlers make Lua call a hook in the running coroutine
 * (src/task/hook.c). (libuv's signals only arrive between ticks.)
 *
 * An interruption escalates, one tick of the watchdog (watchdog.c) at a time: its error is raised
 * once; a blocking system call is made to fail with EINTR; an error that a pcall has swallowed is
 * raised again before every instruction, until control is back where it belongs. SIGINT and SIGTERM
 * cancel every task, so that `<close>` variables run, and the process then dies by the signal. Where
 * no hook is called either (a C function computes, a finalizer loops) the handler ends the process
 * and nothing is unwound, because a supervisor sends one signal and expects the process to end. A
 * second signal kills at once. SIGUSR1 prints the dump and ends nothing. During teardown the same
 * hook limits how long a task that catches its cancellation can go on.
 *
 * SIGPIPE ends the program in the same way if nobody reads its standard output or error any more:
 * print, io.write and C code would not stop otherwise. Every other broken pipe is an error of the
 * call that meets it. (Go's runtime does the same.) Ignoring the signal was rejected: exec passes an
 * ignored signal on, so that `yes | head -1` in os.execute would run for ever; a handler is not
 * passed on.
 *
 * Invariant: whatever a handler shares with other code is one word (sig_atomic_t), or is changed only
 * while signals are blocked.
 */
#include "loop/interrupt.h"

#include <errno.h>
#include <lauxlib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/signals.h"
#include "base/state.h"
#include "loop/dump.h"
#include "loop/limit.h"
#include "loop/press.h"
#include "loop/watchdog.h"
#include "task/hook.h"
#include "task/task.h"

#define MS 1000000ull
#define BREAK_NS (250 * MS)      /* after this, a blocking system call ends with EINTR */
#define INSIST_NS (1000 * MS)    /* after this, a swallowed error is raised at every instruction */
#define DEAF_NS (3000 * MS)      /* after this, a program that runs no Lua code is killed */
#define DEAF_TEST_NS (5000 * MS) /* the same, when a test's limit has passed */

static struct {
    uv_async_t async; /* wakes the loop from a handler */

    volatile sig_atomic_t news; /* a signal has come: interrupt_poll() has something to do */

    /* requests that have not been carried out yet */
    volatile sig_atomic_t dump_asked; /* SIGUSR1 */
    volatile sig_atomic_t ending;     /* end the program, by signal rt.interrupted unless it is 0 */

    uint64_t asked_at;  /* when `ending` was set, or when the last stage of it began */
    uint64_t bound_due; /* when the present step of teardown must be over; NEVER: no such step */

    const struct task *busy; /* the task that ran when the last signal came: never dereferenced */
    bool raised;             /* the error has been raised; a pcall may have swallowed it */
    bool unwound;            /* all tasks have ended: only the state is left to close */
} state = {.bound_due = NEVER};

static bool asked(void) {
    return press_pending() || state.dump_asked || limit_pending() || state.ending;
}

static void arm(void) {
    uint64_t limit = limit_due();
    watchdog_arm(limit < state.bound_due ? limit : state.bound_due, asked());
}

static void rearm_and_unblock(const sigset_t *before) {
    arm();
    watchdog_unblock(before);
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

/* Kills the program: a C function calls Lua functions in a loop and catches every error. */
static void give_up(void) {
    lua_writestringerror("lariat: %s\n", "a C function that catches every error cannot be stopped");
    fflush(NULL);
    watchdog_die((int)rt.interrupted, rt.status);
}

/* ---- in the running coroutine ---- */

/* Ends the running task whatever it catches: it is suspended for good and then closed, from its
 * innermost coroutine outwards, so that its `<close>` variables run (src/task/coroutine.c,
 * src/task/task.c). Where Lua cannot yield, an error is raised instead, and with `insist` again before
 * the next instruction. */
static void stop_running(lua_State *L, bool insist) {
    if (lua_isyieldable(L)) {
        scheduler.stopping = true;
        lua_yield(L, 0);
        return;
    }
    if (insist) {
        hook_want();
    }
    luaL_error(L, "still running at exit");
}

static void bound_teardown(lua_State *L) {
    uint64_t at = watchdog_now(), late = at - state.bound_due;
    if (at < state.bound_due) {
        return;
    }
    if (late >= INSIST_NS + DEAF_NS) {
        give_up();
    }
    stop_running(L, late >= INSIST_NS);
}

/* The program is to end: raises the cancellation in the running task once, and after INSIST_NS stops
 * the task. Raises nothing in a task whose function has returned: nothing would catch it there. */
static void unwind(lua_State *L) {
    const struct task *task = scheduler.current;
    uint64_t late = watchdog_now() - state.asked_at;
    if (late >= INSIST_NS + DEAF_NS) {
        give_up();
    }
    if (late >= INSIST_NS) {
        rt.exiting = true;
        if (!scheduler.stopping && lua_isyieldable(L)) {
            state.asked_at = watchdog_now(); /* its `<close>` variables get the same time again */
        }
        stop_running(L, true);
    } else if (!state.raised && task != NULL && task->record.outcome == TASK_UNFINISHED) {
        rt.exiting = state.raised = true;
        task_push_cancelled_value(L);
        lua_error(L);
    }
}

/* The limit's error was caught too often: reports that, and ends the program at the last stage. */
static void stop_test(lua_State *L) {
    limit_report(L);
    state.asked_at = watchdog_now() - INSIST_NS;
    state.ending = state.news = 1;
    state_exit(EXIT_FAILURE);
}

/* Acts in the test's task, or in the task that ran when the limit passed and keeps it from running. */
static void raise_limit(lua_State *L) {
    const struct task *task = scheduler.current;
    if (task != state.busy && task != limit_task()) {
        return;
    }
    if (limit_take()) {
        luaL_error(L, "%s", limit_message());
    }
    stop_test(L);
    unwind(L);
}

static void on_hook(lua_State *L) {
    watchdog_heard();
    dump_if_asked(L);
    if (rt.closing) {
        bound_teardown(L);
    } else if (state.ending) {
        unwind(L);
    } else if (press_pending()) {
        press_interrupt(L, state.busy);
    } else if (limit_pending()) {
        raise_limit(L);
    }
}

/* ---- handlers ---- */

static void reach_running(void) {
    hook_want();
    uv_async_send(&state.async);
}

/* Kills the program: for too long it has run neither Lua code nor its loop. */
static void die_deaf(void) {
    if (!state.unwound && rt.interrupted) {
        watchdog_write("lariat: SIG");
        watchdog_write(signal_name((int)rt.interrupted));
        watchdog_write(": killed in a call that runs no Lua code; nothing was unwound\n");
    } else if (!state.unwound) {
        limit_say();
        rt.status = EXIT_FAILURE;
    }
    watchdog_die((int)rt.interrupted, rt.status);
}

static void on_tick(uint64_t at) {
    if (limit_look(at)) {
        watchdog_listen(at);
    }
    uint64_t deaf = watchdog_deaf(at);
    if (state.ending ? deaf >= DEAF_NS : limit_pending() && deaf >= DEAF_TEST_NS) {
        die_deaf();
    }
    if (deaf >= BREAK_NS && (state.ending || press_pending() || limit_pending())) {
        watchdog_break();
    }
}

/* Ctrl-C at the prompt. If an earlier press has had no effect for DEAF_NS, this one ends the program,
 * as Ctrl-C does where there is no prompt. */
static void on_press(uint64_t at) {
    if (press_pending() && watchdog_deaf(at) >= DEAF_NS) {
        rt.interrupted = SIGINT;
        die_deaf();
    }
    press_come(at);
}

static void end_by(int number, uint64_t at) {
    state.asked_at = at;
    state.raised = false;
    state.ending = 1;
    rt.interrupted = number;
    watchdog_listen(at);
    if (number != SIGPIPE) { /* SIGPIPE comes again when `<close>` variables print */
        watchdog_handle(number, SIG_DFL);
    }
}

/* Is this descriptor a pipe or socket that nobody reads any more? */
static bool is_broken(int fd) {
    struct pollfd one = {.fd = fd};
    struct stat st;
    return poll(&one, 1, 0) > 0 && (one.revents & (POLLERR | POLLHUP)) && fstat(fd, &st) == 0 &&
           (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* Did SIGPIPE come from a write that reports no error to the script, such as print's, to a standard
 * output or error that nobody reads? */
static bool ends_output(void) {
    return !rt.writing && !rt.interrupted && (is_broken(STDOUT_FILENO) || is_broken(STDERR_FILENO));
}

static void on_signal(int number) {
    int before = errno;
    uint64_t at = watchdog_now();
    if (number == SIGPIPE && !ends_output()) {
        errno = before;
        return;
    }
    if (number == SIGUSR1) {
        state.dump_asked = 1;
    } else if (number == SIGALRM) {
        on_tick(at);
    } else if (number == SIGINT && press_wanted()) {
        on_press(at);
    } else {
        end_by(number, at);
    }
    state.busy = scheduler.current;
    state.news = 1;
    reach_running();
    arm();
    errno = before;
}

void interrupt_restore(int number) {
    if (number == SIGINT || number == SIGTERM || number == SIGUSR1 || number == SIGPIPE) {
        watchdog_handle(number, on_signal);
    }
}

/* ---- in the loop ---- */

static void on_async(uv_async_t *async) {
    (void)async;
}

static void poll_limit(void) {
    struct task *task = limit_task();
    if (limit_take() && task != NULL) {
        task_interrupt(task, limit_message());
    } else if (task != NULL) {
        stop_test(rt.L);
    }
}

void interrupt_poll(void) {
    if (!state.news) {
        return;
    }
    state.news = 0;
    watchdog_heard();
    dump_if_asked(rt.L);
    if (rt.interrupted && !rt.exiting && !rt.closing) {
        state_exit(EXIT_FAILURE);
    }
    if (press_pending()) {
        press_poll();
    }
    if (limit_pending()) {
        poll_limit();
    }
    if (asked()) {
        state.news = 1;
    }
}

static const int handled[] = {SIGINT, SIGTERM, SIGALRM, SIGUSR1, SIGPIPE};

#define HANDLED (sizeof(handled) / sizeof(*handled))

void interrupt_open(void) {
    hook_open(on_hook);
    uv_async_init(&rt.loop, &state.async, on_async);
    uv_unref((uv_handle_t *)&state.async);
    for (size_t i = 0; i < HANDLED; i++) {
        watchdog_handle(handled[i], on_signal);
    }
}

void interrupt_unwound(void) {
    fflush(NULL); /* if a finalizer loops and the program is killed, no output is lost */
    state.unwound = true;
}

void interrupt_close(void) {
    sigset_t before = watchdog_block();
    limit_set(LUA_NOREF, NEVER, NULL);
    state.bound_due = NEVER;
    state.dump_asked = state.ending = 0;
    press_drop();
    for (size_t i = 0; i < HANDLED; i++) {
        watchdog_handle(handled[i], SIG_DFL);
    }
    rearm_and_unblock(&before);
}

void interrupt_after(uint64_t ns) {
    sigset_t before = watchdog_block();
    state.bound_due = ns > 0 ? watchdog_now() + ns : NEVER;
    limit_set(LUA_NOREF, NEVER, NULL);
    press_drop();
    rearm_and_unblock(&before);
    hook_forget();
}

/* ---- for lua/lariat ---- */

/* limit(seconds, message [, report, give_up]): raises message in the current task after so many
 * seconds. If the task does not end by that, calls give_up, or writes the report to standard error if
 * no Lua code can run, and ends the program. limit(0) removes the limit. */
static int fn_limit(lua_State *L) {
    double seconds = luaL_checknumber(L, 1);
    const char *message = luaL_optstring(L, 2, "time limit exceeded");
    luaL_argcheck(L, seconds >= 0 && seconds < 1e8, 1, "seconds out of range");
    bool on = seconds > 0 && scheduler.current != NULL;
    limit_tell(L, 3, 4);
    int reference = limit_reference(L, on ? scheduler.current : NULL);
    sigset_t before = watchdog_block();
    limit_set(reference, on ? watchdog_now() + (uint64_t)(seconds * 1e9) : NEVER, message);
    rearm_and_unblock(&before);
    return 0;
}

/* remember(text): text is written after the report of a limit. */
static int fn_remember(lua_State *L) {
    limit_remember(luaL_checkstring(L, 1));
    return 0;
}

/* ending() -> has a signal come that the process will die by? */
static int fn_ending(lua_State *L) {
    lua_pushboolean(L, rt.interrupted != 0);
    return 1;
}

int interrupt_open_module(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"limit", fn_limit},    {"remember", fn_remember}, {"interruptible", press_interruptible},
        {"guard", press_guard}, {"ending", fn_ending},     {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
