/* SPDX-License-Identifier: MIT
 *
 * The options that a new descriptor starts with. (The script's setoption and getoption: methods.h.)
 */
#ifndef LARIAT_OPTIONS_H
#define LARIAT_OPTIONS_H

#include <lua.h>

#include "net/socket.h"

/* Sets our defaults on a new descriptor: TCP_NODELAY, IPV6_V6ONLY. */
void options_start(const struct driver *driver, int fd, int family, int type);

#define SAVED_VALUE_SIZE 32 /* bytes of a kept value */
/* Keeps an option for the descriptors to come, of at most SAVED_VALUE_SIZE bytes. May raise, for want of
 * memory. */
void options_save(lua_State *L, struct socket *s, int level, int number, const void *value,
                  socklen_t size);
int options_replay(struct socket *s, int fd); /* sets all that are kept on fd: 0 or -errno */
void options_forget(struct socket *s);        /* frees all that are kept */

#endif
