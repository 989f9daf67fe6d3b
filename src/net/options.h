/* SPDX-License-Identifier: MIT
 *
 * Socket options: see options.c.
 */
#ifndef LARIAT_OPTIONS_H
#define LARIAT_OPTIONS_H

#include <lua.h>

#include "net/socket.h"

/* What every new descriptor starts with: TCP_NODELAY, IPV6_V6ONLY. */
void options_start(const struct driver *driver, int fd, int family, int type);
int options_replay(struct socket *s, int fd); /* what the script had set before; 0 or -errno */
void options_forget(struct socket *s);

#endif
