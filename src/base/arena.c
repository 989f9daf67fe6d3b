/* SPDX-License-Identifier: MIT
 *
 * The arena: where the objects of an exact state lie, and when they are collected. Scripts see both:
 * `pairs` visits objects used as keys in the order of their addresses, and finalizers and weak
 * tables tell when the collector has run.
 *
 * Invariant: while a run (a simulation) is on, both depend on what the run itself allocates, not on
 * what came before it. Its objects lie in a slot of its own. The collector is stopped, and a full
 * collection is due when enough has been allocated since the last one: asked for between ticks, or,
 * if a task allocates without ever waiting, by a hook on its coroutine.
 *
 * Objects are what Lua hashes by address. Strings are hashed by content, and whether a short one is
 * made anew depends on whether somebody has interned it already: strings, and the arrays inside
 * objects, lie where they always do (pool.c).
 */
#include "base/arena.h"

#include <assert.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/slots.h"
#include "base/state.h"

#define STRING_TABLE_SIZE 1024 /* bytes of a new state's table of strings, its first array so big */
#define SMALL_STRING 256
#define LEAST_LIMIT ((size_t)4 * 1024 * 1024)
#define OVERDUE 2 /* times the limit, at which a hook collects */

static struct {
    struct slot *program; /* for what is made outside of runs; NULL: there is no arena */
    struct slot *current; /* for what is made now */
    void *strings;        /* Lua's table of strings: as big as others have made it */
    struct slot *run;     /* for what the run makes; NULL: there is none */
    bool counting;        /* what is made now is the run's */
    size_t fresh;         /* bytes allocated since the last collection: objects, arrays, strings */
    size_t small;         /* of small strings, which are not in `fresh` */
    size_t limit;         /* what `fresh` may be */
} arena;

bool arena_open(void) {
    arena.program = arena.current = slot_unused();
    return arena.program != NULL;
}

/* ---- when to collect ---- */

/* Small strings count only when there are very many of them: a run that finds some of its strings
 * interned by others must not collect later for it. */
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
    if (arena_full()) { /* else a coroutine has inherited the hook */
        collect(L);
    }
}

/* An allocator cannot collect; the running coroutine does, at its next instruction, unless somebody
 * else's hook is there. lua_sethook may be called at any moment. */
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

/* For a new block Lua says in place of the old size what it is for. Objects are never resized. */
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

/* Two collections: the first may only find objects to be finalized. Without a slot that is unused,
 * which takes a thousand runs that all left something behind, the run shares the program's. */
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
