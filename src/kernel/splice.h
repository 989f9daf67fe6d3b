/* SPDX-License-Identifier: MIT
 *
 * Forwarding bytes from one socket to another inside the kernel.
 */
#ifndef LARIAT_SPLICE_H
#define LARIAT_SPLICE_H

#include <stddef.h>
#include <sys/types.h>

/* `forward` of struct driver: receives up to `size` bytes from `from` and sends them to `to`. What
 * `to` does not accept, `*left` bytes, is put into `rest`, which has space for `size` bytes. Returns
 * the number of bytes received, 0 at the end of `from`, or -errno of receiving; -EOPNOTSUPP: one of
 * the two is no private internet socket, or the kernel cannot. Never blocks. */
ssize_t splice_forward(int from, int to, void *rest, size_t size, size_t *left);

#endif
