/* SPDX-License-Identifier: MIT
 *
 * Drivers for descriptors that are no sockets of ours: pipes, and the standard streams, which may
 * be terminals, pipes, files or sockets that other processes share.
 *
 * Invariant: recv and sendmsg never block, and O_NONBLOCK is never set on a description that
 * another process may share. The drivers have recv, sendmsg, poll, watch, watch_of, close, shutdown
 * and a getsockopt that fails with -ENOTSOCK; all other members are NULL.
 */
#ifndef LARIAT_FILE_H
#define LARIAT_FILE_H

#include "kernel/driver.h"

/* An end of a pipe that this process has made, non-blocking. As with a socket, after shutdown the
 * peer sees the end and the descriptor stays open. */
extern const struct driver driver_pipe;

/* Standard streams. Shutdown does nothing, since other processes use the same stream; output comes
 * after what C's stdio has buffered. */
extern const struct driver driver_standard_own;    /* a description of our own, non-blocking */
extern const struct driver driver_standard_shared; /* may block: each call is preceded by a poll */
extern const struct driver driver_standard_socket; /* a shared socket: MSG_DONTWAIT */
extern const struct driver driver_standard_ready;  /* epoll refuses it (a file): always ready */

#endif
