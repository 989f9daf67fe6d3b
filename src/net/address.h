/* SPDX-License-Identifier: MIT
 *
 * Socket addresses to and from what scripts write: host, port, family names and "unix:/path".
 */
#ifndef LARIAT_ADDRESS_H
#define LARIAT_ADDRESS_H

#include <lua.h>
#include <stdbool.h>
#include <sys/socket.h>

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

const char *address_family_name(int family); /* "inet", "inet6", "unix", ... */
/* A string without zero bytes, which would cut it: 0, or the results of a bad one pushed. */
int address_check_text(lua_State *L, int index, const char *what, const char **text);
/* Why a text cannot be a host's name: pushed, and returned; NULL: it can be one. */
const char *address_host_fault(lua_State *L, const char *host);
/* The same before a lookup: 0, or the results of one that failed. */
int address_check_host(lua_State *L, const char *host);
int address_check_port(lua_State *L, int index, int *port); /* 0, or results of a bad port pushed */
bool address_parse(const char *host, int port, int family, struct address *a); /* numeric only */
void address_wildcard(int family, int port, struct address *a);
void address_set_port(struct address *a, int port);
int address_unix(const char *path, size_t size, struct address *a); /* 0 or -errno */
int address_push(lua_State *L, const struct address *a); /* host, port, family -> 3 (or 1) */
int address_push_host_port(lua_State *L, const struct address *a);
/* "127.0.0.1:80", "[::1]:80", "unix:/path" or "unix:(no name)"; nil for other families */
void address_push_text(lua_State *L, const struct address *a);
/* Pushes a copy, and returns that: it is anchored by the stack. Of NULL: pushes nothing, returns NULL. */
const struct address *address_keep(lua_State *L, const struct address *a);

#endif
