/* SPDX-License-Identifier: MIT
 *
 * Drivers for descriptors that are not sockets of our own: see driver_file.c.
 */
#ifndef LARIAT_DRIVER_FILE_H
#define LARIAT_DRIVER_FILE_H

#include "kernel/driver.h"

/* A pipe end of ours, non-blocking; shutdown ends it as a socket's does. */
extern const struct driver driver_pipe;

/* A standard stream's descriptor. Shutdown does nothing: others use the same stream. */
extern const struct driver driver_standard_own;    /* opened anew, non-blocking */
extern const struct driver driver_standard_shared; /* may block: asked by poll before each call */
extern const struct driver driver_standard_socket; /* a socket somebody else has, too */
extern const struct driver driver_standard_ready;  /* epoll refuses it: a file, /dev/null */

#endif
