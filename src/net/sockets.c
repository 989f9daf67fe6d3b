/* SPDX-License-Identifier: MIT
 *
 * The state that all sockets share. It is apart from socket.c so that the parts of a socket (input,
 * output, class) need not call the file that makes and closes sockets.
 */
#include "net/socket.h"

struct sockets sockets;
