/* SPDX-License-Identifier: MIT
 *
 * Sending several UDP datagrams by one system call, and where the kernel can split them, as one
 * message (generic segmentation offload). The peer cannot tell the difference.
 */
#ifndef LARIAT_GSO_H
#define LARIAT_GSO_H

#include <sys/socket.h>

/* As sendmmsg with MSG_DONTWAIT: how many of the datagrams were sent, at least one, or -errno of
 * the first one. Sends at most 32; each message has one part (msg_iovlen 1) and no control data. */
int gso_send(int fd, struct mmsghdr *messages, unsigned count);

#endif
