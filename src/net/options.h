/* SPDX-License-Identifier: MIT
 *
 * Socket options: what a new descriptor starts with (initial_options.c). The script's setoption and
 * getoption are in options.c.
 */
#ifndef LARIAT_OPTIONS_H
#define LARIAT_OPTIONS_H

#include <lua.h>

#include "net/socket.h"

/* What every new descriptor starts with: TCP_NODELAY, IPV6_V6ONLY. */
void options_start(const struct driver *driver, int fd, int family, int type);
/* Keeps an option for the descriptors to come, `size` at most SAVED_VALUE_SIZE; may raise (memory). */
#define SAVED_VALUE_SIZE 32
void options_save(lua_State *L, struct socket *s, int level, int number, const void *value,
                  socklen_t size);
int options_replay(struct socket *s, int fd); /* what the script had set before; 0 or -errno */
void options_forget(struct socket *s);        /* frees what is kept */

#endif
