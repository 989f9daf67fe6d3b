/* SPDX-License-Identifier: MIT
 *
 * When Lua's collector runs, and in which mode. Lua's incremental mode marks everything alive each
 * time memory has doubled: with 10,000 strings in a table, or 1,000 idle tasks, a server spends
 * more on marking than on messages. The generational mode visits what is new, all tasks, and each
 * table that was written since; but its full collections stop the program, for 0.3 to 1 ms a MiB.
 * So:
 *
 * - The generational mode is entered when Lua's first cycle has ended, between two ticks. What a
 *   script has loaded before it first waits is old from then on.
 * - How much may be allocated between two collections follows from what one costs, which is
 *   measured: see allowance_for(). Half of it is worth a collection when there is nothing else to
 *   do.
 * - A small heap is looked through as a whole once in a while, a larger one when there is nothing
 *   else to do: what is abandoned when it is old, such as a socket, is found by that alone.
 * - A large heap that grows is never collected at one stop: the mode is the incremental one again,
 *   until the heap is small or stays the same. The less an entry was worth, the later is the next.
 *
 * A sentinel, an object that nobody refers to, is finalized in each cycle of Lua's and so tells of
 * its end. What follows happens between two ticks, since a finalizer must not ask the collector
 * for anything. A script that never waits is collected by Lua alone.
 *
 * Invariant: the mode and its parameters are ours only until the script makes a choice with
 * collectgarbage. It then finds the collector as Lua opens it, and nothing here happens any more.
 *
 * Measured (ratio to C by total processor time, incremental -> this; bench/run.sh echo-16k+10k
 * etc.): 16 KiB echo with 10,000 entries .72 -> .88, with 1,000 tasks as well .65 -> .78, with a
 * million entries .41 -> .82; lines with 10,000 entries .58 -> .67.
 */
#include "loop/collect.h"
#include "base/state.h"
#include "net/socket.h"
#include "task/task.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BASE_KIB 384    /* between two collections, at least: lines .65 with 384, .63 with 768 */
#define BASE_NS 40000.0 /* what a collection may cost before it has to be rarer */
#define COST_NS 120     /* for each KiB more, that a collection costs: 30 and 60 are the same */
#define MOST_EXTRA 4096 /* KiB: see notice_promotion() */
#define WINDOW 64       /* collections over which promotion is noticed */
#define SAMPLE \
    64 /* one of so many is repeated, to measure it without garbage: that promotes, too */
#define DRIVEN_KIB \
    4096               /* what is rarer is not left to Lua: each is made between ticks, and timed */
#define MOST_SWEEP 500 /* ns a KiB of garbage: more than that is noise (lines: 300, 16 KiB: 5) */

#define STOP_NS (10.0 * 1000 * 1000) /* a full collection that takes longer is avoided */
#define SHORT_NS (2.0 * 1000 * 1000) /* what takes no longer may be done when it is not necessary */
#define FULL_SHARE 20                /* a full collection for so many times its cost in others */
#define MAJOR_KIB (8 * 1024)         /* a small heap may grow so much before Lua makes a full one */
#define MOST_TASKS 20000             /* each is visited in every collection: 10 ms */
#define MOST_WAIT 256

/* What an entry has to be worth, so that another may follow soon: heaps' worth of garbage. */
#define WORTH 16

enum mode { OFF, INCREMENTAL, GENERATIONAL };

static struct {
    enum mode mode;
    bool cycled;        /* the sentinel was finalized */
    bool sample;        /* the next collection is made at once, to measure it */
    bool driven;        /* collections are made here; Lua's own would come later */
    unsigned cycles;    /* since the mode was entered */
    unsigned wait;      /* cycles of the incremental mode before the next entry */
    int live;           /* KiB after the last collection, or at the end of its tick */
    int base;           /* KiB after the last full one */
    int before;         /* `live` at the window's beginning */
    int allowance;      /* KiB to be allocated before the next collection */
    int extra;          /* of these, to keep down promotion */
    int percent, major; /* as Lua knows the pace: see lua_gc */
    double fixed_ns;    /* what a collection costs without garbage, smoothed */
    double sweep_ns;    /* and what each KiB of garbage adds, smoothed */
    double full_ns;     /* what a full collection costs for each KiB alive */
    double spent_ns;    /* `fixed_ns` of all collections since the last full one */
    double allocated;   /* KiB since the generational mode was entered */
    size_t sockets;     /* open after the last full collection, or fewer since */
} collect;

/* ---- measuring ---- */

static int used_kib(void) {
    return lua_gc(rt.L, LUA_GCCOUNT);
}

/* Time on the processor: other programs that run meanwhile do not count. */
static double processor_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double clamp(double value, double least, double most) {
    return value < least ? least : value > most ? most : value;
}

/* One collection of what is new, in the generational mode; how long it took. */
static double collect_young(void) {
    double start = processor_ns();
    lua_gc(rt.L, LUA_GCSTEP, 0);
    collect.cycled = false;
    return processor_ns() - start;
}

static bool full_is_too_long(int live) {
    return collect.full_ns * live > STOP_NS;
}

/* What is old is looked through once in a while, if that takes no longer than `most_ns`. */
static bool full_is_due(double most_ns) {
    double full_ns = collect.full_ns * collect.live;
    return full_ns <= most_ns && collect.spent_ns > FULL_SHARE * full_ns;
}

static void note_full(void) {
    collect.live = collect.base = collect.before = used_kib();
    collect.sockets = sockets.open;
    collect.spent_ns = 0;
    collect.cycled = false;
}

/* ---- the pace ---- */

/* A collection's fixed cost (tasks, written tables) is spread over so much garbage that it is worth
 * it; but sweeping that, all at once, must not take longer than the rest. Never more than is alive,
 * so that memory doubles, as in the incremental mode; of a large heap half, since that may also
 * grow before it is collected as a whole. */
static int allowance_for(int live) {
    double most = full_is_too_long(live) ? live / 2 : live;
    double kib = BASE_KIB + collect.extra;
    kib += collect.fixed_ns > BASE_NS ? (collect.fixed_ns - BASE_NS) / COST_NS : 0;
    if (kib > DRIVEN_KIB && collect.sweep_ns > 0) {
        kib = clamp(collect.fixed_ns / collect.sweep_ns, DRIVEN_KIB, kib);
    }
    return (int)clamp(kib, BASE_KIB, most > BASE_KIB ? most : BASE_KIB);
}

static void set_pace(void) {
    double live = collect.live > 0 ? collect.live : 1;
    collect.allowance = allowance_for(collect.live);
    collect.driven = collect.allowance >= DRIVEN_KIB;
    int percent = (int)clamp(100.0 * collect.allowance * (collect.driven ? 2 : 1) / live, 1, 200);
    int major = (int)clamp(100.0 * MAJOR_KIB / live, 100, 300);
    if (8 * abs(percent - collect.percent) > percent || major / 4 != collect.major / 4) {
        collect.percent = percent;
        collect.major = major;
        lua_gc(rt.L, LUA_GCGEN, percent, major);
    }
}

/* Strings that outlive two collections are promoted: they are garbage that only a full collection
 * frees. If many are, as the messages in flight are more than the allowance, that grows. */
static void notice_promotion(void) {
    double share = (double)(collect.live - collect.before) / WINDOW / collect.allowance;
    if (share > (full_is_too_long(collect.live) ? 1.0 / 128 : 1.0 / 64)) {
        collect.extra = (int)clamp(2.0 * collect.extra + BASE_KIB, 0, MOST_EXTRA);
    } else if (share < 1.0 / 512) {
        collect.extra -= collect.extra / 8;
    }
    collect.before = collect.live;
}

/* ---- the modes ---- */

static void enter_generational(void) {
    double start = processor_ns();
    lua_gc(rt.L, LUA_GCGEN, 100, 100);
    note_full();
    collect.full_ns = (processor_ns() - start) / (collect.live + 1);
    collect.mode = GENERATIONAL;
    collect.cycles = 0;
    collect.allocated = 0;
    collect.percent = collect.extra = 0;
    collect.fixed_ns = collect_young();
    collect.live = used_kib();
    set_pace();
    collect_young(); /* from here on Lua has the new pace */
}

static void enter_incremental(void) {
    bool worth = collect.allocated > WORTH * (double)collect.base;
    collect.wait = worth ? 1 : collect.wait < MOST_WAIT ? 2 * collect.wait : MOST_WAIT;
    collect.mode = INCREMENTAL;
    collect.cycles = 0;
    collect.driven = collect.sample = false;
    lua_gc(rt.L, LUA_GCINC, 0, 0, 0);
    lua_gc(rt.L, LUA_GCSTEP, 0); /* the cycle begins now, not after one more allowance */
}

/* A socket that is abandoned when it is old is found by a full collection alone: the descriptors
 * must not run out meanwhile. */
static bool many_sockets(bool too_long) {
    size_t more = too_long ? 4096 : 256;
    more = more < rt.limits.rlim_max / 4 ? more : rt.limits.rlim_max / 4;
    if (sockets.open < collect.sockets) {
        collect.sockets = sockets.open;
    }
    return sockets.open > 2 * collect.sockets + more;
}

/* The incremental mode, to which a heap that has grown is given, needs memory for its cycle, too. */
static bool too_large(void) {
    return collect.live + collect.allowance > 1.75 * collect.base + BASE_KIB;
}

static void collect_all(void) {
    lua_gc(rt.L, LUA_GCCOLLECT);
    note_full();
}

/* A collection of what is new has ended. */
static void after_young(void) {
    collect.live = used_kib();
    collect.base = collect.live < collect.base ? collect.live : collect.base;
    collect.cycles++;
    collect.allocated += collect.allowance;
    collect.spent_ns += collect.fixed_ns;
    bool too_long = full_is_too_long(collect.live), many = many_sockets(too_long);
    if (scheduler.live > MOST_TASKS || (too_long && (many || too_large()))) {
        enter_incremental();
        return;
    }
    if (many || full_is_due(SHORT_NS)) {
        collect_all();
    }
    if (collect.cycles % WINDOW == 0) {
        notice_promotion();
    }
    bool soon = (collect.cycles & (collect.cycles - 1)) == 0; /* the 1st, 2nd, 4th, 8th, ... */
    collect.sample = soon || collect.cycles % SAMPLE == 0;
    set_pace();
}

static void measure_fixed(void) {
    double took = collect_young();
    collect.sample = false;
    collect.fixed_ns = collect.cycles < 16 ? took : (collect.fixed_ns + took) / 2;
    collect.live = used_kib();
    set_pace();
}

static void collect_timed(void) {
    int garbage = used_kib() - collect.live;
    double sweep = (collect_young() - collect.fixed_ns) / (garbage > 0 ? garbage : 1);
    collect.sweep_ns += (clamp(sweep, 1, MOST_SWEEP) - collect.sweep_ns) / 4;
    after_young();
}

/* A cycle of the incremental mode has ended. */
static void after_cycle(void) {
    int before = collect.live;
    collect.live = used_kib();
    collect.cycles++;
    bool steady = collect.cycles > collect.wait && abs(collect.live - before) < collect.live / 8;
    bool first = collect.base == 0;
    if ((first || steady || !full_is_too_long(collect.live)) &&
        scheduler.live < MOST_TASKS / 4 * 3) {
        enter_generational();
    }
}

/* ---- between ticks ---- */

bool collect_tick(void) {
    if (collect.sample) {
        measure_fixed();
    } else if (collect.cycled) {
        collect.cycled = false;
        if (collect.mode == GENERATIONAL) {
            after_young();
        } else if (collect.mode == INCREMENTAL) {
            after_cycle();
        }
    } else if (collect.driven && used_kib() - collect.live > collect.allowance) {
        collect_timed();
    } else {
        return false;
    }
    return true;
}

bool collect_wants_idle(void) {
    return collect.mode == GENERATIONAL && used_kib() - collect.live > collect.allowance / 2 &&
           collect.fixed_ns + collect.sweep_ns * collect.allowance < SHORT_NS;
}

void collect_idle(void) {
    if (full_is_due(STOP_NS)) {
        collect_all();
    } else {
        collect_timed();
    }
}

/* ---- the sentinel ---- */

static void new_sentinel(lua_State *L) {
    lua_newuserdatauv(L, 0, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &collect);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int on_finalized(lua_State *L) {
    collect.cycled = true;
    if (collect.mode != OFF && !rt.closing) {
        new_sentinel(L);
    }
    return 0;
}

/* ---- collectgarbage ---- */

/* The script chooses from now on, and finds Lua's own choice, as if there had been no other. */
static void give_to_script(void) {
    if (collect.mode == GENERATIONAL) {
        lua_gc(rt.L, LUA_GCINC, 0, 0, 0);
    }
    memset(&collect, 0, sizeof(collect));
}

/* Lua's parameters of the generational mode, if the script names none: ours may be set. */
static void complete_generational(lua_State *L) {
    static const int usual[] = {20, 100};
    lua_settop(L, 3);
    for (int i = 0; i < 2; i++) {
        if (luaL_optinteger(L, 2 + i, 0) == 0) {
            lua_pushinteger(L, usual[i]);
            lua_replace(L, 2 + i);
        }
    }
}

/* collectgarbage([option [, ...]]) as Lua's. Looking, and a full collection, are no choice. */
static int fn_collectgarbage(lua_State *L) {
    enum { COLLECT, COUNT, ISRUNNING, GENERATIONAL_OPTION };
    static const char *const options[] = {"collect",     "count", "isrunning", "generational",
                                          "incremental", "stop",  "restart",   "setpause",
                                          "setstepmul",  "step",  NULL};
    int option = luaL_checkoption(L, 1, "collect", options);
    bool refused = lua_gc(L, LUA_GCCOUNT) < 0; /* in a finalizer Lua takes no choice */
    if (option >= GENERATIONAL_OPTION && collect.mode != OFF && !refused) {
        if (option == GENERATIONAL_OPTION) {
            complete_generational(L);
        }
        give_to_script();
    }
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    if (option == COLLECT && collect.mode == GENERATIONAL && !refused) {
        note_full();
    }
    return lua_gettop(L);
}

void collect_open(lua_State *L) {
    bool tried = LUA_VERSION_RELEASE_NUM >= 50404; /* earlier generational modes had errors */
    if (rt.exact || !tried) {
        return;
    }
    collect.mode = INCREMENTAL;
    collect.wait = 1;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, on_finalized);
    lua_setfield(L, -2, "__gc");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &collect);
    new_sentinel(L);
    lua_getglobal(L, "collectgarbage");
    lua_pushcclosure(L, fn_collectgarbage, 1);
    lua_setglobal(L, "collectgarbage");
}
