/* SPDX-License-Identifier: MIT
 *
 * What all sockets share, and the lists they are in: see socket.h. Apart from socket.c, so that what a
 * socket consists of need not know how it is made and closed.
 */
#include "net/socket.h"

struct sockets sockets;
