/* SPDX-License-Identifier: MIT
 *
 * What a receive asks for: a unit of input, as described by op->as.receive.
 */
#ifndef LARIAT_PATTERN_H
#define LARIAT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "op.h"

enum pattern { LINE, LINE_WITH_END, ALL, COUNT, ANY, UNTIL };

/* Has a whole unit come? Its size in the input, and how much of that is shown. */
bool pattern_find(struct op *op, size_t *size, size_t *shown);

/* Is a limited unit too long: it cannot fit any more, or has come whole and does not? */
bool pattern_exceeded(const struct op *op, bool found, size_t shown);

/* How much of what has come belongs to the unit asked for, if no more is to come. */
size_t pattern_partial(const struct op *op);

/* Removes every CR from the string on top: "*l" drops them. */
void pattern_strip_cr(lua_State *L);

#endif
