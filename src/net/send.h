/* SPDX-License-Identifier: MIT
 *
 * What the operations that write to a stream share (send.c, pipe.c).
 */
#ifndef LARIAT_SEND_H
#define LARIAT_SEND_H

#include <stdbool.h>

struct op;
struct socket;

/* True if the operation must first wait until `s` is writable (WANT_WRITE), because others that send on
 * it come first. Notes in the operation whether it then keeps its place in line. */
bool send_line_up(struct op *op, const struct socket *s);

/* Returns err, 0 or -errno, which the script is told now: the socket's shutdown does not report it
 * again. */
int send_mark_told(struct socket *s, int err);

/* Ends the sending side once everything that was sent has gone out. 0, or -errno of what could not be
 * sent and has not been reported before. Does not wait. */
int send_end(struct socket *s);

#endif
