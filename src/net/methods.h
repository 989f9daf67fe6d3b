/* SPDX-License-Identifier: MIT
 *
 * The functions and methods of sockets, by file: for src/module.c, which puts them where scripts find
 * them, and for classes that share them. Each is called by Lua, with its arguments from index 1 on,
 * unless a comment says otherwise.
 */
#ifndef LARIAT_METHODS_H
#define LARIAT_METHODS_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

#include "net/address.h"
#include "net/socket.h"

/* socket.core */
int tcp_create(lua_State *L);
int tcp_create4(lua_State *L);
int tcp_create6(lua_State *L);
int tcp_copy(lua_State *L);
int udp_create(lua_State *L);
int udp_create4(lua_State *L);
int udp_create6(lua_State *L);
int unix_create_stream(lua_State *L);
int unix_create_dgram(lua_State *L);
int socket_select(lua_State *L);
int dns_open(lua_State *L); /* pushes the table of socket.dns */
int dns_by_system(
    lua_State *L); /* getaddrinfo of a name, tohostname of an address, not answered in Lua */
int select_wait(lua_State *L); /* task.wait */
int socket_setoption(lua_State *L);
int socket_getoption(lua_State *L);
int socket_methods_of(lua_State *L);

/* methods, by file; each table ends with {NULL, NULL} */
extern const luaL_Reg receive_methods[];
extern const luaL_Reg peek_methods[];
extern const luaL_Reg send_methods[];
extern const luaL_Reg pipe_methods[];
extern const luaL_Reg server_methods[];
extern const luaL_Reg tcp_methods[];
extern const luaL_Reg datagram_methods[];
extern const luaL_Reg udp_methods[];
extern const luaL_Reg unix_stream_methods[];
extern const luaL_Reg unix_dgram_methods[];

/* Is the function at `index` the iterator of box:lines()? */
bool receive_is_lines_of(lua_State *L, int index, const struct socket_box *box);

/* methods that several classes share under different names; those with a socket as an argument are called
 * with its box at index 1, and push results as Lua functions do */
int inet_bind(lua_State *L, struct socket *s);
int inet_getpeername(lua_State *L);
int inet_getsockname(lua_State *L);
int inet_getfamily(lua_State *L);
int datagram_send_many(lua_State *L);
int datagram_send_to(lua_State *L, struct socket *s, const struct address *a);

/* Pushes the function that makes a service, what serve() runs connections by. */
void service_open(lua_State *L);

#endif
