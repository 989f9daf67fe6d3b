/* SPDX-License-Identifier: MIT
 *
 * The table lariat.core.sim, on which lua/lariat/sim.lua and its neighbours build the API. Its functions
 * take machines by their numbers; the world's is 0.
 */
#include <arpa/inet.h>
#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "sim/event.h"
#include "sim/machine.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/sim.h"
#include "sim/socket.h"
#include "task/task.h"

static void check_running(lua_State *L) {
    if (rt.world == NULL) {
        luaL_error(L, "no simulation is running");
    }
}

static struct machine *check_machine(lua_State *L, int index) {
    check_running(L);
    lua_Integer id = luaL_checkinteger(L, index);
    luaL_argcheck(L, id >= 0 && id < sim.machine_count, index, "machine expected");
    return sim.machines[id];
}

/* ---- a run ---- */

static double number_field(lua_State *L, const char *field, double otherwise) {
    double value = lua_getfield(L, 1, field) == LUA_TNUMBER ? lua_tonumber(L, -1) : otherwise;
    lua_pop(L, 1);
    return value;
}

/* As an integer, at most 1e18: thirty years in nanoseconds are as good as no limit. */
static uint64_t limited(double value) {
    return value < 1e18 ? (uint64_t)value : (uint64_t)1e18;
}

static uint64_t time_field(lua_State *L, const char *field, double otherwise) {
    return limited(number_field(L, field, otherwise) * 1e9);
}

static struct faults fault_fields(lua_State *L) {
    return (struct faults){
        .latency_low = time_field(L, "latency_low", 0),
        .latency_high = time_field(L, "latency_high", 0),
        .loss = number_field(L, "loss", 0),
        .duplicate = number_field(L, "duplicate", 0),
        .reorder = number_field(L, "reorder", 0),
        .delay = number_field(L, "delay", 0),
        .split = number_field(L, "split", 0),
        .partition = time_field(L, "partition", 0),
    };
}

/* run(options, world) -> nil or why it failed, the trace, the number of events, the seconds that passed.
 * The options have been checked in Lua. */
static int fn_run(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (scheduler.current == NULL) {
        return luaL_error(L, "a simulation runs in a task only");
    }
    struct simulation options = {
        .epoch = number_field(L, "epoch", 0),
        .max_events = limited(number_field(L, "max_events", 1e7)),
        .max_time = SIM_BOOT + time_field(L, "max_time", 86400),
        .faults = fault_fields(L),
    };
    lua_getfield(L, 1, "seed");
    uint64_t seed = (uint64_t)luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return sim_run(L, &options, seed);
}

/* running() -> is a simulation under way? */
static int fn_running(lua_State *L) {
    lua_pushboolean(L, rt.world != NULL);
    return 1;
}

/* stop([why]): ends the run; as failed, if a reason is given */
static int fn_stop(lua_State *L) {
    check_running(L);
    if (!lua_isnoneornil(L, 1)) {
        sim_fail("%s", luaL_checkstring(L, 1));
    }
    sim.over = true;
    return 0;
}

/* time() -> seconds since the run began */
static int fn_time(lua_State *L) {
    lua_pushnumber(L, rt.world != NULL ? (double)(sim.now - SIM_BOOT) / 1e9 : 0);
    return 1;
}

/* draw(seed, n) -> the n-th integer that the seed gives for the choice of faults */
static int fn_draw(lua_State *L) {
    uint64_t seed = (uint64_t)luaL_checkinteger(L, 1);
    lua_Integer n = luaL_checkinteger(L, 2);
    lua_pushinteger(L, (lua_Integer)(chance_of(seed, (uint64_t)n) >> 1));
    return 1;
}

/* ---- machines ---- */

/* machine(name) -> number */
static int fn_machine(lua_State *L) {
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    check_running(L);
    luaL_argcheck(L, size > 0 && size < SIM_NAME, 1, "name of 1 to 63 characters expected");
    luaL_argcheck(L, machine_find(name) == NULL, 1, "a host of that name exists already");
    luaL_argcheck(L, sim.machine_count < SIM_MACHINES, 1, "too many hosts");
    lua_pushinteger(L, machine_new(name)->id);
    return 1;
}

/* current() -> the number and the name of the running task's machine */
static int fn_current(lua_State *L) {
    check_running(L);
    struct machine *m = machine_current();
    lua_pushinteger(L, m->id);
    lua_pushstring(L, m->name);
    return 2;
}

/* address(machine [, six]) -> text */
static int fn_address(lua_State *L) {
    bool six = lua_toboolean(L, 2);
    struct sim_address a;
    char text[INET6_ADDRSTRLEN];
    machine_address(check_machine(L, 1), six, &a);
    lua_pushstring(L,
                   inet_ntop(six ? AF_INET6 : AF_INET, a.ip + (six ? 0 : 12), text, sizeof(text)));
    return 1;
}

/* state(machine) -> is it up, number of tasks, exit status, number of crashes */
static int fn_state(lua_State *L) {
    struct machine *m = check_machine(L, 1);
    lua_pushboolean(L, m->up);
    lua_pushinteger(L, (lua_Integer)m->tasks);
    lua_pushinteger(L, m->status);
    lua_pushinteger(L, m->crashes);
    return 4;
}

/* expect(machine, status): a program of its that ends with another status fails the run */
static int fn_expect(lua_State *L) {
    check_machine(L, 1)->expected = (int)luaL_checkinteger(L, 2);
    return 0;
}

/* globals(machine) -> fresh globals, which its tasks will see */
static int fn_globals(lua_State *L) {
    globals_make(L, check_machine(L, 1));
    return 1;
}

/* output(machine, number) -> everything it has written to standard output (1) or error (2) */
static int fn_output(lua_State *L) {
    const struct printed *printed = &check_machine(L, 1)->printed[luaL_checkinteger(L, 2) == 2];
    lua_pushlstring(L, printed->text, printed->size);
    return 1;
}

/* echo(machine, yes): is its output also written to the real standard streams? */
static int fn_echo(lua_State *L) {
    check_machine(L, 1)->echo = lua_toboolean(L, 2);
    return 0;
}

/* write(number, text): writes to standard stream 1 or 2 of the running task's machine */
static int fn_write(lua_State *L) {
    size_t size;
    int number = (int)luaL_checkinteger(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    check_running(L);
    machine_write(machine_current(), number, text, size);
    return 0;
}

/* remove(name) -> was it the name of a unix socket of the running task's machine? If so, it is free now. */
static int fn_remove(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    check_running(L);
    lua_pushboolean(L, sim_path_remove(machine_current(), name));
    return 1;
}

/* input(machine, text): sets the content of its standard input */
static int fn_input(lua_State *L) {
    struct machine *m = check_machine(L, 1);
    const char *text = luaL_checklstring(L, 2, &m->input_size);
    memory_free(m->input);
    m->input = memory_alloc(m->input_size + 1);
    memcpy(m->input, text, m->input_size);
    return 0;
}

/* start(machine, name, f, ...) -> a new task on that machine, which is up from now on. A rule may call
 * it, too, when no task is running. */
static int fn_start(lua_State *L) {
    struct machine *m = check_machine(L, 1);
    const char *name = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    m->up = true;
    machine_forget_names(m);
    m->status = 0;
    machine_adopt(m, task_spawn(L, lua_gettop(L) - 3, name));
    return 1;
}

/* ---- crash, and waiting for an end ---- */

/* Wakes the tasks in fn_crash() first, which may start the machine again, and then, by dropping its
 * tasks, those in fn_ended(): one of them is the world's task, which must find a client running again. */
static void crash_now(struct event *event) {
    struct machine *m = (struct machine *)((char *)event - offsetof(struct machine, crash));
    waitq_wake_all(&m->crashed, WAKE_READY);
    machine_crash(m);
}

static int waited(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    if (task_resumed() == WAKE_CANCELLED) {
        return task_raise(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* crash(machine) -> true, once the tasks that are ready now have run and it is down */
static int fn_crash(lua_State *L) {
    struct machine *m = check_machine(L, 1);
    struct task *task = scheduler.current;
    task_prepare(L, "crash");
    if (m->crash.slot == 0) {
        m->crash.fire = crash_now;
        event_add(&m->crash, sim.now);
    }
    waitq_join(&m->crashed, &task->interest, task, false);
    return task_park(L, "crash", NEVER, true, 0, waited);
}

/* ended(machine) -> true, once it has no tasks left */
static int fn_ended(lua_State *L) {
    struct machine *m = check_machine(L, 1);
    struct task *task = scheduler.current;
    if (m->tasks == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    task_prepare(L, "end of a host");
    waitq_join(&m->ended, &task->interest, task, false);
    return task_park(L, "end of a host", NEVER, false, 0, waited);
}

/* ---- the network ---- */

/* link(from, to, "open" | "partitioned" | "held"): in this direction */
static int fn_link(lua_State *L) {
    static const char *const states[] = {"open", "partitioned", "held", NULL};
    struct machine *from = check_machine(L, 1), *to = check_machine(L, 2);
    link_set(from, to, (enum link_state)luaL_checkoption(L, 3, NULL, states));
    return 0;
}

/* faults(options): sets faults and latency from now on */
static int fn_faults(lua_State *L) {
    check_running(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    struct faults faults = fault_fields(L);
    network_set_faults(&faults);
    return 0;
}

/* rule(f): f(packet) decides about packets from now on; nil: there is no rule */
static int fn_rule(lua_State *L) {
    check_running(L);
    rule_set(L, 1);
    return 0;
}

int sim_open_module(lua_State *L, void (*open_globals)(lua_State *L)) {
    static const luaL_Reg functions[] = {
        {"run", fn_run},
        {"stop", fn_stop},
        {"time", fn_time},
        {"draw", fn_draw},
        {"machine", fn_machine},
        {"current", fn_current},
        {"address", fn_address},
        {"state", fn_state},
        {"globals", fn_globals},
        {"output", fn_output},
        {"input", fn_input},
        {"start", fn_start},
        {"crash", fn_crash},
        {"ended", fn_ended},
        {"link", fn_link},
        {"faults", fn_faults},
        {"rule", fn_rule},
        {"echo", fn_echo},
        {"write", fn_write},
        {"remove", fn_remove},
        {"expect", fn_expect},
        {"running", fn_running},
        {NULL, NULL},
    };
    globals_fill_with(open_globals);
    luaL_newlib(L, functions);
    trace_open_module(L);
    lua_setfield(L, -2, "trace");
    return 1;
}
