/* SPDX-License-Identifier: MIT
 *
 * The allocator of an exact state: it decides the addresses of objects and the moments of garbage
 * collection. A script can observe both: `pairs` visits objects used as keys in the order of their
 * addresses, and finalizers and weak tables show when the collector has run.
 *
 * Invariant: during a run (a simulation), both depend only on what the run itself allocates, not on
 * what came before it. The run's objects lie in a slot of their own. Lua's collector is stopped; a
 * full collection is due when enough has been allocated since the last one. The caller makes it
 * between ticks, or, if a task allocates without ever waiting, a hook on its coroutine does.
 *
 * Only what Lua hashes by address comes from slots (slots.c). Strings are hashed by content, and
 * whether a short one is allocated depends on whether an earlier run has interned it: strings, and
 * the arrays inside objects, come from the pool (pool.c).
 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/slots.h"
#include "base/state.h"

#define STRING_TABLE_SIZE 1024 /* bytes: the first array of this size is the state's string table */
#define SMALL_STRING 256       /* bytes; strings below this are counted apart */
#define LEAST_LIMIT ((size_t)4 * 1024 * 1024) /* bytes allocated before a collection is due */
#define OVERDUE 2                             /* times the limit: a hook collects */

static struct {
    struct slot *program; /* objects made outside of runs; NULL: the state is not exact */
    struct slot *current; /* where new objects go now: `program` or `run` */
    void *strings;        /* Lua's string table, not counted: earlier runs have made it grow */
    struct slot *run;     /* objects of the current run; NULL: there is no run */
    bool counting;        /* allocations count towards the run's next collection */
    size_t fresh;         /* bytes allocated since the last collection: objects, arrays, strings */
    size_t small;         /* the same of small strings, which are not in `fresh` */
    size_t limit;         /* a collection is due once `fresh` reaches this */
} arena;

bool arena_open(void) {
    arena.program = arena.current = slot_unused();
    return arena.program != NULL;
}

/* ---- when to collect ---- */

/* Small strings count only when there are very many of them: a run that finds some of its strings
 * interned already allocates fewer, and must not collect later for that. */
static bool allocated(size_t times) {
    return arena.fresh >= times * arena.limit || arena.small >= times * OVERDUE * arena.limit;
}

bool arena_full(void) {
    return arena.run != NULL && allocated(1);
}

static void start_counting(void) {
    size_t live = slot_live(arena.run);
    arena.limit = live > LEAST_LIMIT ? live : LEAST_LIMIT;
    arena.fresh = arena.small = 0;
}

static void collect(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT);
    start_counting();
}

void arena_collect(void) {
    collect(rt.L);
}

static void on_hook(lua_State *L, lua_Debug *frame) {
    (void)frame;
    lua_sethook(L, NULL, 0, 0);
    if (arena_full()) { /* false: a collection came first, and this coroutine inherited the hook */
        collect(L);
    }
}

/* An allocator must not collect. So the running coroutine is given a hook that collects at its next
 * instruction, unless it has another hook. lua_sethook may be called at any moment. */
static void collect_soon(void) {
    lua_State *L = rt.running;
    if (L != NULL && lua_gethook(L) == NULL) {
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    }
}

static void count(size_t *what, size_t size) {
    if (arena.counting) {
        *what += size;
        if (allocated(OVERDUE)) {
            collect_soon();
        }
    }
}

/* ---- the allocator ---- */

static void *resize_array(void *block, size_t osize, size_t nsize) {
    void *array = pool_alloc(NULL, block, osize, nsize);
    if (array == NULL) {
        return NULL;
    }
    if (arena.strings == NULL && block == NULL && nsize == STRING_TABLE_SIZE) {
        arena.strings = array;
    } else if (block != NULL && block == arena.strings) {
        arena.strings = array;
    } else if (nsize > osize) {
        count(&arena.fresh, nsize - osize);
    }
    return array;
}

static void *new_string(size_t size) {
    count(size < SMALL_STRING ? &arena.small : &arena.fresh, size);
    return pool_alloc(NULL, NULL, 0, size);
}

static void *new_object(size_t size) {
    count(&arena.fresh, size);
    return slot_take(arena.current, size);
}

static void free_block(void *block, size_t size) {
    if (slot_holds(block)) {
        slot_free(block, size);
    } else {
        pool_alloc(NULL, block, size, 0);
    }
}

/* For a new block, `osize` is the type of what it is for (LUA_T*). Lua never resizes objects. */
void *arena_alloc(void *ud, void *block, size_t osize, size_t nsize) {
    (void)ud;
    if (nsize == 0) {
        if (block != NULL) {
            free_block(block, osize);
        }
        return NULL;
    }
    if (block != NULL) {
        assert(!slot_holds(block));
        return resize_array(block, osize, nsize);
    }
    if (osize < LUA_TSTRING) {
        return resize_array(NULL, 0, nsize);
    }
    return osize == LUA_TSTRING ? new_string(nsize) : new_object(nsize);
}

/* ---- runs ---- */

/* It takes two collections to free an object with a finalizer: the first one only calls that. If no
 * slot is unused, after a thousand runs of which each left something alive, the run shares the
 * program's slot. */
void arena_begin(void) {
    if (arena.program != NULL) {
        assert(arena.run == NULL);
        lua_gc(rt.L, LUA_GCCOLLECT);
        lua_gc(rt.L, LUA_GCCOLLECT);
        lua_gc(rt.L, LUA_GCSTOP);
        struct slot *slot = slot_unused();
        arena.run = slot != NULL ? slot : arena.program;
        start_counting();
        arena_resume();
    }
}

void arena_pause(void) {
    arena.current = arena.program;
    arena.counting = false;
}

void arena_resume(void) {
    if (arena.run != NULL) {
        arena.current = arena.run;
        arena.counting = true;
    }
}

void arena_end(void) {
    if (arena.run != NULL) {
        arena_pause();
        arena.run = NULL;
        lua_gc(rt.L, LUA_GCRESTART);
    }
}
