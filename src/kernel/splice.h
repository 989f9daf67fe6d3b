/* SPDX-License-Identifier: MIT
 *
 * Bytes from one socket to another that never come to us: see forward.c.
 */
#ifndef LARIAT_FORWARD_H
#define LARIAT_FORWARD_H

#include <stddef.h>
#include <sys/types.h>

ssize_t forward_bytes(int from, int to, void *rest, size_t size, size_t *left);

#endif
