/* SPDX-License-Identifier: MIT
 *
 * A run of the simulation: a second scheduler, over the simulated driver, inside the task that started
 * the run. Meanwhile the world outside stands still: its tasks, its clock and its driver are saved, and
 * restored at the end.
 *
 * The loop: run the ready tasks; else report readiness of sockets; else jump to the next event.
 * Invariant: time passes only when no task can run. At the end all remaining tasks and sockets are
 * dropped without unwinding, as if the whole network crashed.
 */
#include "sim/run.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/state.h"
#include "base/world.h"
#include "kernel/driver.h"
#include "loop/dump.h"
#include "loop/interrupt.h"
#include "loop/runtime.h"
#include "net/resolve.h"
#include "net/socket.h"
#include "sim/event.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/sim.h"
#include "sim/socket.h"
#include "task/hook.h"
#include "task/task.h"

#define INTERRUPT_TICKS 64 /* from one interrupt_poll() to the next */

/* ---- the world outside ---- */

static const struct world simulated = {
    .domain = SIM_DOMAINS,
    .contains = sim_contains,
    .task_began = sim_task_began,
    .task_enters = sim_task_enters,
    .task_ended = sim_task_ended,
    .hostname = sim_hostname,
    .resolver = sim_resolver,
    .random = sim_random,
    .standard = sim_standard,
    .hides_terminals = sim_hides_terminals,
};

struct outside {
    const struct driver *driver;
    struct clock clock;
    struct scheduler tasks;
    lua_State *running;
    uint64_t tick;
};

static void leave_world(struct outside *outside) {
    *outside = (struct outside){.driver = rt.driver,
                                .clock = rt.clock,
                                .tasks = scheduler,
                                .running = rt.running,
                                .tick = rt.tick};
    outputs_flush();
    rt.driver = &driver_sim;
    rt.clock = (struct clock){.source = &time_sim, .alarm = NEVER};
    scheduler = (struct scheduler){.outer = &outside->tasks};
    hook_running(NULL);
    rt.outer_clock = &outside->clock;
    rt.world = &simulated;
}

static void return_to_world(const struct outside *outside) {
    rt.world = NULL;
    rt.outer_clock = NULL;
    clock_close();
    rt.driver = outside->driver;
    rt.clock = outside->clock;
    scheduler = outside->tasks;
    hook_running(outside->running);
    rt.tick = outside->tick;
}

/* ---- the loop ---- */

static void deadlock(void) {
    dump_push_text(rt.L, false);
    sim_fail("deadlock after %.6f s: every task waits, and nothing can happen any more\n%s",
             (double)(sim.now - SIM_BOOT) / 1e9, lua_tostring(rt.L, -1));
    lua_pop(rt.L, 1);
}

static bool stopped_from_outside(const struct outside *outside) {
    static unsigned ticks;
    if (++ticks % INTERRUPT_TICKS == 0) {
        interrupt_poll();
    }
    return rt.exiting || outside->tasks.current->interrupted;
}

static void run_loop(const struct outside *outside, const struct task_object *world) {
    while (!sim.over && world->task != NULL && !stopped_from_outside(outside)) {
        runtime_tick();
        if (arena_full()) {
            arena_collect();
        }
        if (sim.over || world->task == NULL) {
            return;
        }
        if (!list_is_empty(&scheduler.ready) || !list_is_empty(&scheduler.later)) {
            events_busy();
        } else if (!sim_sockets_tell() && !events_step()) {
            deadlock();
        }
    }
}

/* ---- open and close ---- */

static void drop_everything(void) {
    struct socket *next;
    sim.over = true;
    while (scheduler.all != NULL) {
        task_drop(scheduler.all);
    }
    sim_sockets_close();
    for (struct socket *s = sockets.all; s != NULL; s = next) {
        next = s->all_next;
        if (s->watch.driver == &driver_sim) {
            socket_abort(s);
        }
    }
    sockets_free_dead();
    events_close();
    lookups_drop();
    rule_close();
    network_close();
    machines_close();
    trace_close();
}

/* (world function, struct outside *) -> the trace. Runs the simulation; in a protected call. */
static int run_inside(lua_State *L) {
    struct outside *outside = lua_touserdata(L, 2);
    lua_settop(L, 1);
    trace_open(L);
    lua_insert(L, 1);
    machine_new("world");
    network_set_faults(&sim.faults);
    task_spawn(L, 0, "world");
    run_loop(outside, lua_touserdata(L, -1));
    lua_settop(L, 1);
    return 1;
}

int sim_exit(lua_State *L, int status) {
    struct machine *m = machine_current();
    m->status = status;
    for (struct task *t = scheduler.all; t != NULL; t = t->all_next) {
        if (machine_of(t->domain) == m) {
            task_cancel(t);
        }
    }
    task_push_cancelled_value(L);
    return lua_error(L);
}

static void alarm_rang(struct event *event) {
    (void)event;
    clock_fire();
}

static void open_run(const struct simulation *options, uint64_t seed) {
    sim = *options;
    sim.now = SIM_BOOT;
    sim.alarm.fire = alarm_rang;
    chance_open(seed);
}

int sim_run(lua_State *L, const struct simulation *options, uint64_t seed) {
    struct outside outside;
    lua_State *from = L;
    leave_world(&outside);
    open_run(options, seed);
    arena_begin();
    globals_open(from);
    lua_pushcfunction(L, run_inside);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, &outside);
    int status = lua_pcall(L, 2, 1, 0);
    drop_everything();
    globals_close(from);
    arena_end();
    return_to_world(&outside);
    char *failure = sim.failure;
    sim.failure = NULL;
    if (status != LUA_OK || rt.exiting || task_must_raise()) {
        free(failure);
        return status != LUA_OK ? lua_error(L) : task_raise(L);
    }
    lua_pushstring(L, failure);
    lua_insert(L, -2);
    free(failure);
    lua_pushinteger(L, (lua_Integer)sim.events);
    lua_pushnumber(L, (double)(sim.now - SIM_BOOT) / 1e9);
    return 4;
}
