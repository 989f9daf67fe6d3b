/* SPDX-License-Identifier: MIT
 *
 * Patterns: what a receive asks for, and where in the input it ends. Apart from receive.c, which takes the
 * bytes: nothing here does, so that an attempt may ask as often as it is repeated.
 */
#include "net/pattern.h"

#include <lauxlib.h>
#include <string.h>

#include "net/socket.h"

bool pattern_find(struct op *op, size_t *size, size_t *shown) {
    struct socket *s = op->socket;
    const char *data = input_data(s);
    size_t held = input_size(s);
    const char *hit;
    switch (op->as.receive.pattern) {
    case LINE:
    case LINE_WITH_END:
        hit = memchr(data + op->as.receive.scanned, '\n', held - op->as.receive.scanned);
        op->as.receive.scanned = held;
        if (hit == NULL) {
            return false;
        }
        *size = (size_t)(hit - data) + 1;
        *shown = op->as.receive.pattern == LINE ? *size - 1 : *size;
        if (op->as.receive.pattern == LINE && *shown > 0 && hit[-1] == '\r') {
            *shown -= 1; /* counts neither as part of the line nor against its limit */
        }
        return true;
    case UNTIL: {
        size_t length = op->as.receive.delim_size;
        hit = memmem(data + op->as.receive.scanned, held - op->as.receive.scanned,
                     op->as.receive.delim, length);
        if (hit == NULL) {
            op->as.receive.scanned = held >= length ? held - length + 1 : 0;
            return false;
        }
        *size = (size_t)(hit - data) + length;
        *shown = op->as.receive.inclusive ? *size : *size - length;
        return true;
    }
    case COUNT: *size = *shown = op->as.receive.want; return held >= *size;
    case ANY:
        *size = *shown = held < op->as.receive.want ? held : op->as.receive.want;
        return held > 0;
    default: /* ALL */ return false;
    }
}

/* Bytes that may be the beginning of the unit's end do not count: the answer must not depend on where the
 * packets were cut. */
bool pattern_exceeded(const struct op *op, bool found, size_t shown) {
    size_t max = op->as.receive.max;
    size_t held = input_size(op->socket);
    if (found || held <= max) {
        return found && shown > max;
    }
    if (op->as.receive.pattern == LINE) {
        return held > max + 1 || input_data(op->socket)[max] != '\r';
    }
    bool exclusive = op->as.receive.pattern == UNTIL && !op->as.receive.inclusive;
    return held - max >= (exclusive ? op->as.receive.delim_size : 1);
}

void pattern_strip_cr(lua_State *L) {
    size_t size, length = 0;
    const char *data = lua_tolstring(L, -1, &size);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, size);
    for (size_t i = 0; i < size; i++) {
        if (data[i] != '\r') {
            out[length++] = data[i];
        }
    }
    luaL_pushresultsize(&b, length);
    lua_remove(L, -2);
}

size_t pattern_partial(const struct op *op) {
    size_t size = input_size(op->socket);
    if (op->as.receive.pattern == COUNT && size > op->as.receive.want) {
        size = op->as.receive.want;
    }
    if (op->as.receive.max > 0 && size > op->as.receive.max) {
        size = op->as.receive.max;
    }
    return size;
}
