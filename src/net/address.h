/* SPDX-License-Identifier: MIT
 *
 * Socket addresses, from what scripts write and to what they read: host, port, family names and
 * "unix:/path". No function asks a name server, or waits.
 *
 * Where a function says "results", it pushes nil and a message and returns how many that are: the caller
 * returns them.
 */
#ifndef LARIAT_ADDRESS_H
#define LARIAT_ADDRESS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

const char *address_family_name(int family); /* "inet", "inet6", "unix", ... */
/* The string at an index, which must have no zero bytes: 0, or results. Raises if it is no string. */
int address_check_text(lua_State *L, int index, const char *what, const char **text);
/* Pushes and returns why a text cannot be a host's name; NULL, and nothing pushed: it can be one. */
const char *address_host_fault(lua_State *L, const char *host);
/* Checks that before a lookup: 0, or results. */
int address_check_host(lua_State *L, const char *host);
/* The port at an index, an integer or a string of one: 0, or results. Raises if it is neither. */
int address_check_port(lua_State *L, int index, int *port);
/* From numeric text; `family` AF_UNSPEC: of either family. False: the text is no such address. */
bool address_parse(const char *host, int port, int family, struct address *a);
void address_wildcard(int family, int port, struct address *a); /* "*": every local address */
void address_set_port(struct address *a, int port);
/* From a path; one that begins with a zero byte is in Linux's abstract namespace. 0, or -ENAMETOOLONG. */
int address_unix(const char *path, size_t size, struct address *a);
/* Push host, port and family, or host and port; of a unix address the path alone. Return how many. */
int address_push(lua_State *L, const struct address *a);
int address_push_host_port(lua_State *L, const struct address *a);
/* Pushes "127.0.0.1:80", "[::1]:80", "unix:/path" or "unix:(no name)"; nil for other families. */
void address_push_text(lua_State *L, const struct address *a);
/* Pushes a copy, and returns that: it is anchored by the stack. Of NULL: pushes nothing, returns NULL. */
const struct address *address_keep(lua_State *L, const struct address *a);

#endif
