/* SPDX-License-Identifier: MIT
 *
 * The runtime's life: open, run, close, in that order.
 *
 * A tick runs the ready tasks, flushes what they sent, and frees what they closed; then the kernel's
 * driver polls for readiness, and waits for it if no task is ready. When every task waits and nothing
 * outside can wake one, that is a deadlock and is reported.
 *
 * Teardown, in this order: cancel the tasks (bounded), close the sockets, let pending output drain
 * (bounded), end children and close libuv's handles, lua_close, close the loop.
 */
#include "loop/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "loop/collect.h"
#include "loop/dump.h"
#include "loop/interrupt.h"
#include "net/datagram.h"
#include "net/inplace.h"
#include "net/socket.h"
#include "task/spawn_trace.h"
#include "task/task.h"

#define EXIT_TASKS_NS (1000ull * 1000 * 1000)
#define EXIT_DRAIN_NS (5000ull * 1000 * 1000)
#define DESCRIPTORS_TO_START 16 /* 12 for the loop, and some for a script, a module and a socket */

/* ---- memory ---- */

/* Keeps malloc from giving the top of the heap back to the kernel. Strings of many KiB come and go
 * with every message, and faulting their pages in again costs more than copying them (an echo of
 * 16 KiB, relative to bench/server_echo.c: 0.65 without this, 0.81 with it; `make bench CASE=echo-16k`). */
static void tune_allocator(void) {
    mallopt(M_TRIM_THRESHOLD, 16 * 1024 * 1024);
    mallopt(M_TOP_PAD, 1024 * 1024);
    mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
}

/* ---- open ---- */

/* Debian's soft limit is 1024 descriptors, its hard one a million. Children get the old ones back. */
static void raise_descriptor_limit(void) {
    if (getrlimit(RLIMIT_NOFILE, &rt.limits) == 0) {
        struct rlimit raised = rt.limits;
        raised.rlim_cur = raised.rlim_max;
        setrlimit(RLIMIT_NOFILE, &raised);
    }
}

/* If the program was started with a standard descriptor closed, the next file opened would become,
 * say, stdout. A descriptor opened with O_PATH takes that number: it can be neither read nor written
 * (EBADF), as if it were still closed. */
static void hold_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)!open("/", O_PATH); /* takes the lowest free number, which is this one */
        }
    }
}

/* Ends the program with a message if `err` is negative: an errno as libuv returns it. */
static void check_start(int err) {
    if (err >= 0) {
        return;
    }
    fprintf(stderr, "lariat: cannot start: %s", strerror(-err));
    if (err == -EMFILE) {
        fprintf(stderr, ": a limit of %llu descriptors (ulimit -n) is too small, %d will do",
                (unsigned long long)rt.limits.rlim_max, DESCRIPTORS_TO_START);
    }
    fputs("\n", stderr);
    exit(EXIT_FAILURE);
}

/* Called by Lua for an error outside of any protected call; Lua then aborts. */
static int panic(lua_State *L) {
    const char *message = lua_tostring(L, -1);
    lua_writestringerror("lariat: panic: %s\n", message ? message : "(no message)");
    return 0;
}

static void open_state(lua_State *L) {
    rt.L = L != NULL ? L : memory_checked(lua_newstate(pool_alloc, NULL), sizeof(void *));
    lua_atpanic(rt.L, panic);
    memset(lua_getextraspace(rt.L), 0, LUA_EXTRASPACE); /* every coroutine starts with a copy */
}

void runtime_open(lua_State *L) {
    hold_standard_descriptors();
    rt.driver = &driver_kernel;
    rt.clock = (struct clock){.source = &time_kernel, .alarm = NEVER};
    rt.tick = clock_now();
    tune_allocator();
    raise_descriptor_limit();
    check_start(uv_loop_init(&rt.loop));
    check_start(driver_kernel_open());
    interrupt_open();
    sockets.shared = memory_alloc(SHARED_SIZE);
    open_state(L);
    inplace_open(rt.L);
    outputs_open();
    drains_open();
}

/* ---- run ---- */

void runtime_tick(void) {
    if (scheduler.running) {
        return;
    }
    rt.tick = clock_now();
    task_run_ready();
    outputs_flush();
    sockets_free_dead();
    accept_close_orphan();
    if (scheduler.live > 0 && collect_tick()) { /* else the program ends, and closes the state */
        outputs_flush();                        /* what finalizers have sent */
    }
}

static bool anything_ready(void) {
    return !list_is_empty(&scheduler.ready) || !list_is_empty(&scheduler.later);
}

static void poll_once(void) {
    if (!anything_ready() && collect_wants_idle()) {
        driver_kernel_turn(false);
        if (!anything_ready()) {
            collect_idle();
            outputs_flush(); /* what finalizers have sent */
        }
    }
    driver_kernel_turn(!anything_ready() && !rt.exiting);
    interrupt_poll();
}

/* Every task waits for another one. The test runner has set scheduler.on_deadlock to the task of the
 * test, which gets the report as an error; else the report is written and the program ends. */
static void deadlock(void) {
    if (scheduler.on_deadlock != NULL) {
        lua_pushliteral(rt.L, "deadlock: waits for something that nothing can bring about\n");
        dump_push_text(rt.L, false);
        lua_concat(rt.L, 2);
        task_interrupt(scheduler.on_deadlock, lua_tostring(rt.L, -1));
        lua_pop(rt.L, 1);
        return;
    }
    fflush(stdout);
    lua_writestringerror("lariat: deadlock: %s\n", "every task waits and nothing can wake one");
    dump_push_text(rt.L, false);
    lua_writestringerror("%s", lua_tostring(rt.L, -1));
    lua_pop(rt.L, 1);
    state_exit(1);
}

void runtime_run(void) {
    for (;;) {
        runtime_tick();
        interrupt_poll();
        if (rt.exiting || scheduler.live == 0) {
            return;
        }
        if (!anything_ready() && scheduler.sources == 0) {
            deadlock();
            continue;
        }
        poll_once();
    }
}

/* ---- close ---- */

/* Does nothing: the timer only makes poll_once() return. */
static void end_turn(struct timer *timer) {
    (void)timer;
}

/* Runs ticks until `over` returns true, but no longer than `ns` nanoseconds. */
static void run_until(bool (*over)(void), uint64_t ns) {
    struct timer bound = {.due = NEVER, .fire = end_turn};
    uint64_t end = clock_now() + ns;
    timer_set(&bound, end);
    while (!over() && clock_now() < end) {
        runtime_tick();
        if (!over()) {
            poll_once();
        }
    }
    timer_remove(&bound);
}

static bool no_tasks(void) {
    return scheduler.live == 0 || (!anything_ready() && scheduler.sources == 0);
}

static bool no_drains(void) {
    return sockets.draining == 0;
}

/* The next step of unwinding tasks may take so many nanoseconds; then running code is stopped. */
static void allow(uint64_t ns) {
    scheduler.unwound_by = clock_now() + ns;
    interrupt_after(ns);
}

/* Closes the tasks that have not ended, which runs their `<close>` variables. Once the time is up, the
 * remaining ones are dropped, and nothing of theirs runs any more. */
static void abandon_tasks(void) {
    struct task *next;
    for (struct task *t = scheduler.all; t != NULL; t = next) {
        next = t->all_next;
        if (task_is_overdue()) {
            task_drop(t);
        } else {
            task_abandon(t);
        }
    }
}

static void end_tasks(void) {
    rt.closing = true;
    allow(EXIT_TASKS_NS);
    if (scheduler.exit_caller != NULL) {
        task_abandon(scheduler.exit_caller); /* os.exit does not return: `<close>` variables run */
    }
    for (struct task *t = scheduler.all; t != NULL; t = t->all_next) {
        task_cancel(t);
    }
    rt.exiting = false;
    allow(EXIT_TASKS_NS);
    run_until(no_tasks, EXIT_TASKS_NS);
    allow(EXIT_TASKS_NS);
    abandon_tasks();
    interrupt_after(0);
}

static void close_handle(uv_handle_t *handle, void *unused) {
    (void)unused;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

/* Closes the loop. A name lookup in flight keeps the loop open, because its thread still uses it: the
 * process then exits without waiting for the lookup. */
static void close_loop(void) {
    uv_walk(&rt.loop, close_handle, NULL);
    while (uv_run(&rt.loop, UV_RUN_NOWAIT) != 0 && rt.lookups == 0) {
    }
    if (uv_loop_close(&rt.loop) == 0) {
        driver_kernel_close();
    }
}

int runtime_close(void (*close_handles)(void)) {
    end_tasks();
    sockets_close_all();
    outputs_flush();
    run_until(no_drains, EXIT_DRAIN_NS);
    sockets_force_close();
    sockets_free_dead();
    if (scheduler.unjoined_errors > 0 && rt.status == 0 && !rt.status_chosen && !rt.interactive) {
        rt.status = 1;
    }
    interrupt_unwound();
    close_handles();
    lua_close(rt.L);
    rt.L = NULL;
    sockets_close();
    pool_close();
    datagrams_close();
    interrupt_close();
    close_loop();
    clock_close();
    spawn_trace_close();
    location_close();
    fflush(NULL);
    if (rt.interrupted) {
        raise((int)rt.interrupted);
    }
    if (rt.lookups > 0) {
        _exit(rt.status);
    }
    return rt.status;
}
