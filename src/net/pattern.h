/* SPDX-License-Identifier: MIT
 *
 * Where the unit that a receive asks for ends. What it asks for is in op->as.receive.
 *
 * Invariant: no function takes or moves input; `scanned` only saves looking at a byte twice.
 */
#ifndef LARIAT_PATTERN_H
#define LARIAT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "net/op.h"

/* LINE: without its end. COUNT: `want` bytes. ANY: up to `want` bytes. UNTIL: up to a delimiter. */
enum pattern { LINE, LINE_WITH_END, ALL, COUNT, ANY, UNTIL };

/* Has a whole unit come? If so: its size in the input, and how many bytes of it, from its beginning, are
 * the result. */
bool pattern_find(struct op *op, size_t *size, size_t *shown);

/* Is a unit longer than its limit, op->as.receive.max? `found` and `shown` as by pattern_find(). */
bool pattern_exceeded(const struct op *op, bool found, size_t shown);

/* How many bytes of the input belong to the unit, if nothing more will come. */
size_t pattern_partial(const struct op *op);

/* Removes every CR from the string on top: "*l" drops them. */
void pattern_strip_cr(lua_State *L);

#endif
