/* SPDX-License-Identifier: MIT
 *
 * Runs of datagrams as one message: see segment.c.
 */
#ifndef LARIAT_SEGMENT_H
#define LARIAT_SEGMENT_H

#include <sys/socket.h>

/* As sendmmsg: how many of the datagrams were sent, at least one, or -errno of the first. */
int segment_send(int fd, struct mmsghdr *messages, unsigned count);

#endif
