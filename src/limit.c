/* SPDX-License-Identifier: MIT
 *
 * The time limit of a test. When it passes its message is raised in the test's task, or in what keeps
 * that from running; a task that catches it meets it again a second later, LIMIT_REPEATS times, and is
 * then given up, with the run: what a test that cannot be stopped has changed is not known.
 *
 * It is not raised before every instruction, as other interruptions are that get swallowed: that would
 * hit the test framework, which has gone on with the next part of the same test.
 */
#include "limit.h"

#include <lauxlib.h>
#include <signal.h>
#include <string.h>

#include "clock.h"
#include "runtime.h"

#define AGAIN_NS (1000 * 1000 * 1000ull)
#define LIMIT_REPEATS 3

static struct {
    volatile sig_atomic_t pending;
    uint64_t due;
    int raised;
    int task; /* registry reference */
    char message[160];
} limit = {.due = NEVER, .task = LUA_NOREF};

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
