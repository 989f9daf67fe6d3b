/* SPDX-License-Identifier: MIT
 *
 * What the operations that receive from a stream share (receive.c, peek.c).
 */
#ifndef LARIAT_RECEIVE_H
#define LARIAT_RECEIVE_H

#include <sys/types.h>

struct socket;

/* The message, in LuaSocket's words, for a stream that input_fill() has returned `n` <= 0 for. If the peer
 * has reset the connection, also drops what is held back, which cannot be sent any more. */
const char *receive_failure(struct socket *s, ssize_t n);

#endif
