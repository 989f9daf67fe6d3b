/* SPDX-License-Identifier: MIT
 *
 * The debug hook of the running coroutine. A signal handler may call lua_sethook, but a hook
 * belongs to one coroutine, and a coroutine has one hook, which may be the script's (a profiler, a
 * debugger, a coverage tool).
 *
 * Invariant: our hook is set in at most one coroutine, the running one. While it is set, `script`
 * holds the hook it has replaced, which is restored before anything else happens. Signals are
 * blocked while either changes. Our hook counts instructions (LUA_MASKCOUNT): a call hook would
 * also be called in our own C functions, outside of any protected call.
 */
#include "task/hook.h"

#include <signal.h>
#include <stddef.h>

#include "base/state.h"

static struct {
    void (*function)(lua_State *L); /* what the hook calls */
    volatile sig_atomic_t wanted;   /* the function is still to be called */
    volatile unsigned moves;        /* how often coroutines have changed, or the hook was called */
} hook;

/* The script's hook that ours has replaced in L; L is NULL if ours is not set. */
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

/* Sets our hook in the running coroutine if it is wanted, even if it is set already: if a signal
 * comes just while Lua reads its hook, Lua misses the count of 1 and would not call the hook. */
static void install(void) {
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

/* A coroutine that was created while our hook was set has inherited it, and had no hook before. */
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
    install();
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
    install();
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
    install();
    unblock(&before);
}

void hook_want(void) {
    sigset_t before;
    block(&before);
    hook.wanted = 1;
    install();
    unblock(&before);
}

unsigned hook_moves(void) {
    return hook.moves;
}

void hook_open(void (*function)(lua_State *L)) {
    hook.function = function;
}
