/* SPDX-License-Identifier: MIT
 *
 * The time limit of a test. When it passes its message is raised in the test's task, or in what keeps
 * that from running; a task that catches it meets it again a second later, LIMIT_REPEATS times, and is
 * then given up, with the run: what a test that cannot be stopped has changed is not known. The test
 * runner tells then what has come of the run; if it cannot, because no Lua code runs, the texts that
 * it has left here are written instead.
 *
 * It is not raised before every instruction, as other interruptions are that get swallowed: that would
 * hit the test framework, which has gone on with the next part of the same test.
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
    volatile sig_atomic_t pending;
    uint64_t due;
    int raised;
    int task;                  /* registry reference */
    int give_up;               /* registry reference to the runner's function; LUA_NOREF: none */
    char *report, *remembered; /* said in its place; or NULL */
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

/* ---- telling that it was not heeded ---- */

/* In place of a text that a handler may be saying: the old one goes once the new one is there. */
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
    limit.give_up = LUA_NOREF; /* once */
    if (give_up != LUA_NOREF && lua_checkstack(L, 1)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, give_up);
        if (lua_pcall(L, 0, 0, 0) == LUA_OK) {
            return;
        }
        lua_pop(L, 1);
    }
    limit_say();
}
