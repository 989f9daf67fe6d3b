/* SPDX-License-Identifier: MIT
 *
 * Datagrams in batches: see datagram.c.
 */
#ifndef LARIAT_DATAGRAM_H
#define LARIAT_DATAGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "address.h"

struct socket;

/* One datagram as received; its data is valid until the next call of any function below. */
struct datagram {
    const char *data;
    size_t size;
    struct address from;
};

bool datagrams_waiting(const struct socket *s);           /* a take needs nothing of the kernel */
int datagrams_take(struct socket *s, struct datagram *d); /* 0, -EAGAIN or -errno */
int datagrams_take_error(struct socket *s); /* of one sent before, not told yet: -errno or 0 */
void datagrams_release(struct socket *s);   /* what it has received and not taken is dropped */

/* Queues or sends one datagram; `to` is NULL on a connected socket. 0, -EAGAIN or -errno: its own, not
 * an earlier one's. What goes to an address that the kernel has refused is sent at once, to be told. */
int datagram_send(struct socket *s, const char *data, size_t size, const struct address *to);
/* The same, but the error of a refused address is told later, as one of many. */
int datagram_queue(struct socket *s, const char *data, size_t size, const struct address *to);
void datagrams_end_batch(void);          /* with all other output: see datagram.c */
int datagrams_flush(void);               /* the batch of whichever socket has one */
void datagrams_forget(struct socket *s); /* before the descriptor goes: send what is queued */
void datagrams_close(void);              /* free the shared memory */

#endif
