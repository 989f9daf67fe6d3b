/* SPDX-License-Identifier: MIT
 *
 * What the operations that receive from a stream share (receive.c, peek.c).
 */
#ifndef RECEIVE_H
#define RECEIVE_H

#include <sys/types.h>

struct socket;

/* Why a stream that input_fill() returned `n` <= 0 for yields nothing more, in LuaSocket's words.
 * After a reset nothing can be sent either: what was to be sent is discarded. */
const char *receive_failure(struct socket *s, ssize_t n);

#endif
