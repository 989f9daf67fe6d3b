/* SPDX-License-Identifier: MIT
 *
 * Datagrams, received and sent in batches, for UDP and unix datagram sockets. No function waits or raises.
 *
 * Invariant: datagrams of a socket leave and arrive in the order of the calls.
 */
#ifndef LARIAT_DATAGRAM_H
#define LARIAT_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/address.h"

struct socket;

/* A received datagram; its data is valid until the next call of any function below. */
struct datagram {
    const char *data;
    size_t size;
    struct address from;
};

bool datagrams_waiting(const struct socket *s); /* will a take succeed without the kernel? */
/* Receives one datagram: 0, -EAGAIN if none has come, another -errno, or NO_MEMORY. */
int datagrams_take(struct socket *s, struct datagram *d);
int datagrams_take_error(
    struct socket *
        s); /* -errno of one sent before that no call has told yet, which is then forgotten; or 0 */
void datagrams_release(struct socket *s); /* drops what has been received and not taken */

/* Queues or sends one datagram; `to` is NULL on a connected socket. 0, -EAGAIN if it must wait, or -errno
 * of this datagram. If the kernel has refused the address before, it is sent at once, so that the caller
 * is told of an error. */
int datagram_send(struct socket *s, const char *data, size_t size, const struct address *to);
/* The same, but it is queued also if its address was refused: an error is told by a later call. */
int datagram_queue(struct socket *s, const char *data, size_t size, const struct address *to);
/* Sends the batch, of whichever socket it is. 0, or -EAGAIN: part of it is left. */
int datagrams_flush(void);
/* The same at the end of a tick, or when all output is flushed: the next datagram that a connected socket
 * sends is not held back. */
void datagrams_end_batch(void);
void datagrams_forget(struct socket *s); /* sends what is queued: the descriptor will be closed */
void datagrams_close(void);              /* frees the shared memory, at the end */

#endif
