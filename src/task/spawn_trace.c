/* SPDX-License-Identifier: MIT
 *
 * Spawn traces. There may be very many tasks, but they are spawned at few lines: each trace is kept
 * once, in a table here, and a task has its number. A copy in each task was rejected: it is 36
 * bytes more per idle connection.
 *
 * Invariant: the table only grows until the end, so a number stays valid. Number 0 is the unknown
 * trace, also used once there are MOST_TRACES. `slots` is an open-addressing hash table, at most
 * half full.
 */
#include "task/spawn_trace.h"

#include <string.h>

#include "base/memory.h"

#define MOST_TRACES (1u << 16)
#define FIRST_SLOTS 64u

static struct {
    struct spawn_trace *traces; /* by number */
    unsigned *slots;            /* numbers; 0: free */
    unsigned count, size;       /* of traces; of slots, a power of two */
    struct location at, body;   /* the most recent arguments of spawn_trace_number, */
    unsigned spawner, number;   /* and its result */
} table;

static unsigned mix(unsigned h, struct location p) {
    h = (h ^ p.file * 8191u ^ (unsigned)p.line) * 2654435761u;
    return h ^ h >> 15;
}

static unsigned hash(const struct spawn_trace *trace) {
    unsigned h = mix(0, trace->body);
    for (int i = 0; i < SPAWN_TRACE_LINES; i++) {
        h = mix(h, trace->lines[i]);
    }
    return h;
}

static bool same(struct location a, struct location b) {
    return a.file == b.file && a.line == b.line;
}

/* The slot that has this trace, or the free one where it belongs. */
static unsigned *find(const struct spawn_trace *trace) {
    unsigned i = hash(trace) & (table.size - 1);
    while (table.slots[i] != 0 &&
           memcmp(&table.traces[table.slots[i]], trace, sizeof(*trace)) != 0) {
        i = (i + 1) & (table.size - 1);
    }
    return &table.slots[i];
}

/* False: there is no memory. */
static bool grow(void) {
    unsigned size = table.size ? 2 * table.size : FIRST_SLOTS;
    struct spawn_trace *traces = memory_try(table.traces, size / 2 * sizeof(*traces));
    table.traces = traces != NULL ? traces : table.traces;
    unsigned *slots = traces != NULL ? memory_try(NULL, size * sizeof(*slots)) : NULL;
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0, size * sizeof(*slots));
    memory_free(table.slots);
    table.slots = slots;
    table.size = size;
    if (table.count == 0) {
        table.traces[table.count++] = (struct spawn_trace){0};
    }
    for (unsigned number = 1; number < table.count; number++) {
        *find(&table.traces[number]) = number;
    }
    return true;
}

static unsigned intern(const struct spawn_trace *trace) {
    if (table.count == table.size / 2 && !grow()) {
        return 0;
    }
    unsigned *slot = find(trace);
    if (*slot == 0 && table.count + 1 < MOST_TRACES) {
        *slot = table.count++;
        table.traces[*slot] = *trace;
    }
    return *slot;
}

unsigned spawn_trace_number(struct location at, struct location body, unsigned spawner) {
    bool again = table.number != 0 && table.spawner == spawner && same(table.at, at) &&
                 same(table.body, body);
    if (!again) {
        struct spawn_trace trace = {.lines = {at}, .body = body};
        memcpy(trace.lines + 1, spawn_trace_of(spawner)->lines, sizeof(trace.lines) - sizeof(at));
        table.number = intern(&trace);
        table.spawner = spawner;
        table.at = at;
        table.body = body;
    }
    return table.number;
}

const struct spawn_trace *spawn_trace_of(unsigned number) {
    static const struct spawn_trace unknown = {{{0, 0}}, {0, 0}};
    return number != 0 ? &table.traces[number] : &unknown;
}

void spawn_trace_close(void) {
    memory_free(table.traces);
    memory_free(table.slots);
    memset(&table, 0, sizeof(table));
}
