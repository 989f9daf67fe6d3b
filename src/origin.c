/* SPDX-License-Identifier: MIT
 *
 * Origins of tasks. There may be very many tasks, but they come from few lines: each chain of lines
 * is kept once, in a table here, and a task has its number. A copy in each task was rejected: it is
 * 36 bytes more of every idle connection.
 *
 * Invariant: the table only grows, so a number never dangles; number 0 is the chain of which nothing
 * is known, also of what comes when ORIGINS chains are kept. `slots` is a hash of open addresses, at
 * most half full.
 */
#include "origin.h"

#include <string.h>

#include "runtime.h"

#define ORIGINS (1u << 16)
#define FIRST_SLOTS 64u

static struct {
    struct origin *origins;   /* by number */
    unsigned *slots;          /* numbers; 0: free */
    unsigned count, size;     /* of origins, of slots: a power of two */
    struct place at, body;    /* what was asked most recently, */
    unsigned spawner, number; /* and the answer */
} table;

static unsigned mix(unsigned h, struct place p) {
    h = (h ^ p.file * 8191u ^ (unsigned)p.line) * 2654435761u;
    return h ^ h >> 15;
}

static unsigned hash(const struct origin *origin) {
    unsigned h = mix(0, origin->body);
    for (int i = 0; i < ORIGIN_LINES; i++) {
        h = mix(h, origin->lines[i]);
    }
    return h;
}

static bool same(struct place a, struct place b) {
    return a.file == b.file && a.line == b.line;
}

/* The slot that has the origin, or the free one where it belongs. */
static unsigned *find(const struct origin *origin) {
    unsigned i = hash(origin) & (table.size - 1);
    while (table.slots[i] != 0 &&
           memcmp(&table.origins[table.slots[i]], origin, sizeof(*origin)) != 0) {
        i = (i + 1) & (table.size - 1);
    }
    return &table.slots[i];
}

/* False: there is no memory. */
static bool grow(void) {
    unsigned size = table.size ? 2 * table.size : FIRST_SLOTS;
    struct origin *origins = runtime_try(table.origins, size / 2 * sizeof(*origins));
    table.origins = origins != NULL ? origins : table.origins;
    unsigned *slots = origins != NULL ? runtime_try(NULL, size * sizeof(*slots)) : NULL;
    if (slots == NULL) {
        return false;
    }
    memset(slots, 0, size * sizeof(*slots));
    runtime_free(table.slots);
    table.slots = slots;
    table.size = size;
    if (table.count == 0) {
        table.origins[table.count++] = (struct origin){0};
    }
    for (unsigned number = 1; number < table.count; number++) {
        *find(&table.origins[number]) = number;
    }
    return true;
}

static unsigned intern(const struct origin *origin) {
    if (table.count == table.size / 2 && !grow()) {
        return 0;
    }
    unsigned *slot = find(origin);
    if (*slot == 0 && table.count + 1 < ORIGINS) {
        *slot = table.count++;
        table.origins[*slot] = *origin;
    }
    return *slot;
}

unsigned origin_number(struct place at, struct place body, unsigned spawner) {
    bool again = table.number != 0 && table.spawner == spawner && same(table.at, at) &&
                 same(table.body, body);
    if (!again) {
        struct origin origin = {.lines = {at}, .body = body};
        memcpy(origin.lines + 1, origin_of(spawner)->lines, sizeof(origin.lines) - sizeof(at));
        table.number = intern(&origin);
        table.spawner = spawner;
        table.at = at;
        table.body = body;
    }
    return table.number;
}

const struct origin *origin_of(unsigned number) {
    static const struct origin unknown = {{{0, 0}}, {0, 0}};
    return number != 0 ? &table.origins[number] : &unknown;
}

void origin_close(void) {
    runtime_free(table.origins);
    runtime_free(table.slots);
    memset(&table, 0, sizeof(table));
}
