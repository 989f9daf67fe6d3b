/* SPDX-License-Identifier: MIT
 *
 * The hook in the running coroutine. lua_sethook is meant to be called from a signal handler, but a
 * hook belongs to one coroutine, and a coroutine has one hook, which may be the script's (a profiler,
 * a debugger, a coverage tool).
 *
 * Invariant: the hook is in one coroutine at most, the running one, and for as long as it is there,
 * `script` has the one that it has displaced, which comes back before anything else happens. The
 * signals whose handlers come here are blocked while either changes. Only instructions are counted:
 * a hook that is called when a function is entered would also be called in our own C functions,
 * outside of any protected call.
 */
#include "hook.h"

#include <signal.h>
#include <stddef.h>

static struct {
    void (*function)(lua_State *L);
    volatile sig_atomic_t wanted;
    volatile unsigned moves;
} hook;

/* The script's hook, in whose place ours is; L is NULL if ours is in no coroutine. */
static struct {
    lua_State *L;
    lua_Hook function;
    int mask, count;
} script;

static void on_count(lua_State *L, lua_Debug *frame);

static void put_back(void) {
    if (script.L != NULL && lua_gethook(script.L) == on_count) {
        lua_sethook(script.L, script.function, script.mask, script.count);
    }
    script.L = NULL;
}

/* Also where it is in place already: a signal that comes just while Lua looks at its hook makes it miss
 * a count of 1, and then count on from there. */
static void place(void) {
    lua_State *L = rt.running;
    rt.hooked = hook.wanted || script.L != NULL;
    if (!hook.wanted || L == NULL) {
        return;
    }
    if (lua_gethook(L) != on_count) {
        script.function = lua_gethook(L);
        script.mask = lua_gethookmask(L);
        script.count = lua_gethookcount(L);
        script.L = L;
    }
    lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

/* ---- with signals blocked ---- */

static void block(sigset_t *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

static void unblock(const sigset_t *before) {
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* A coroutine that was made while ours was in place has inherited it, and displaces nothing. */
static void on_count(lua_State *L, lua_Debug *frame) {
    sigset_t before;
    (void)frame;
    block(&before);
    if (L == script.L) {
        put_back();
    } else {
        lua_sethook(L, NULL, 0, 0);
    }
    hook.wanted = 0;
    hook.moves++;
    place();
    unblock(&before);
    hook.function(L);
}

void hook_follow(void) {
    sigset_t before;
    block(&before);
    hook.moves++;
    if (script.L != rt.running) {
        put_back();
    }
    place();
    unblock(&before);
}

void hook_want_next(void) {
    hook.wanted = 1;
    rt.hooked = 1;
}

void hook_forget(void) {
    sigset_t before;
    block(&before);
    hook.wanted = 0;
    put_back();
    place();
    unblock(&before);
}

void hook_want(void) {
    sigset_t before;
    block(&before);
    hook.wanted = 1;
    place();
    unblock(&before);
}

unsigned hook_moves(void) {
    return hook.moves;
}

void hook_open(void (*function)(lua_State *L)) {
    hook.function = function;
}
