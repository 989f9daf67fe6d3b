/* SPDX-License-Identifier: MIT
 *
 * The time limit of a test. When it passes, its message is raised as an error in the test's task, or
 * in the task that keeps that one from running. If the error is caught it is raised again a second
 * later, LIMIT_REPEATS times in all; then the whole run is given up, because nobody knows what a test
 * that cannot be stopped has changed. The test runner then reports the results so far; if it cannot,
 * because no Lua code runs, the texts that it has left here are written instead.
 *
 * The error is not raised before every instruction, as that of other interruptions is when it gets
 * swallowed: it would be raised in the test framework, which has caught it and has gone on with the
 * next part of the same test.
 */
#include "loop/limit.h"

#include <lauxlib.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "loop/watchdog.h"

#define AGAIN_NS (1000 * 1000 * 1000ull)
#define LIMIT_REPEATS 3

static struct {
    volatile sig_atomic_t pending; /* it has passed, and its error has not been raised yet */
    uint64_t due;                  /* NEVER: there is no limit */
    int raised;                    /* how often its error was raised */
    int task;                      /* registry reference to the test's task, or LUA_NOREF */
    int give_up;                   /* registry reference to the runner's function, or LUA_NOREF */
    char *report, *remembered;     /* written if that function cannot be called; or NULL */
    char message[160];
} limit = {.due = NEVER, .task = LUA_NOREF, .give_up = LUA_NOREF};

/* ---- the limit ---- */

int limit_reference(lua_State *L, struct task *task) {
    luaL_unref(L, LUA_REGISTRYINDEX, limit.task);
    limit.task = LUA_NOREF;
    if (task == NULL) {
        return LUA_NOREF;
    }
    task_push(L, task);
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

void limit_set(int reference, uint64_t due, const char *message) {
    limit.pending = limit.raised = 0;
    limit.task = reference;
    limit.due = due;
    if (message != NULL) {
        strncpy(limit.message, message, sizeof(limit.message) - 1);
    }
}

uint64_t limit_due(void) {
    return limit.due;
}

bool limit_look(uint64_t at) {
    if (at < limit.due) {
        return false;
    }
    bool news = !limit.pending;
    limit.due = at + AGAIN_NS;
    limit.pending = 1;
    return news;
}

bool limit_pending(void) {
    return limit.pending;
}

const char *limit_message(void) {
    return limit.message;
}

struct task *limit_task(void) {
    return task_referenced(limit.task);
}

bool limit_take(void) {
    limit.pending = 0;
    return limit.raised++ < LIMIT_REPEATS;
}

/* ---- reporting a test that cannot be stopped ---- */

/* Sets *text to a copy of `with`, or NULL. A handler may write *text at any moment, so the old copy is
 * freed only once the new one is in place. */
static void replace(char **text, const char *with) {
    char *old = *text, *new = NULL;
    if (with != NULL) {
        new = memory_alloc(strlen(with) + 1);
        strcpy(new, with);
    }
    *text = new;
    memory_free(old);
}

void limit_tell(lua_State *L, int report, int give_up) {
    replace(&limit.report, luaL_optstring(L, report, NULL));
    luaL_unref(L, LUA_REGISTRYINDEX, limit.give_up);
    limit.give_up = LUA_NOREF;
    if (!lua_isnoneornil(L, give_up)) {
        lua_pushvalue(L, give_up);
        limit.give_up = luaL_ref(L, LUA_REGISTRYINDEX);
    }
}

void limit_remember(const char *text) {
    replace(&limit.remembered, text);
}

void limit_say(void) {
    watchdog_write("\nlariat: ");
    watchdog_write(limit.message);
    watchdog_write(", and could not be stopped");
    watchdog_write(limit.report != NULL ? ": " : "\n");
    watchdog_write(limit.report != NULL ? limit.report : "");
    watchdog_write(limit.remembered != NULL ? limit.remembered : "");
}

void limit_report(lua_State *L) {
    int give_up = limit.give_up;
    limit.give_up = LUA_NOREF; /* it is called once only */
    if (give_up != LUA_NOREF && lua_checkstack(L, 1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, give_up);
        if (lua_pcall(L, 0, 0, 0) == LUA_OK) {
            return;
        }
        lua_pop(L, 1);
    }
    limit_say();
}
