/* SPDX-License-Identifier: MIT
 *
 * Every C function that scripts reach, listed once. module.c builds the modules from these.
 */
#ifndef LARIAT_MODULE_H
#define LARIAT_MODULE_H

#include <lauxlib.h>
#include <lua.h>

#include "net/address.h"
#include "net/socket.h"

/* For functions of modules. Raises if the first argument is the table of a module of ours, as it is
 * when the function is called with a colon; `expected` is the type that the argument should have. */
void module_check_dot(lua_State *L, const char *expected);

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
int task_wait(lua_State *L);
int socket_setoption(lua_State *L);
int socket_getoption(lua_State *L);
int socket_methods_of(lua_State *L);

/* methods, by file */
extern const luaL_Reg receive_methods[];
extern const luaL_Reg peek_methods[];
extern const luaL_Reg send_methods[];
extern const luaL_Reg server_methods[];
extern const luaL_Reg tcp_methods[];
extern const luaL_Reg datagram_methods[];
extern const luaL_Reg udp_methods[];
extern const luaL_Reg unix_stream_methods[];
extern const luaL_Reg unix_dgram_methods[];

/* Is the function at `index` the iterator of box:lines()? */
bool receive_is_lines_of(lua_State *L, int index, const struct socket_box *box);

/* methods that several classes share under different names */
int inet_bind(lua_State *L, struct socket *s);
int inet_getpeername(lua_State *L);
int inet_getsockname(lua_State *L);
int inet_getfamily(lua_State *L);
int datagram_send_many(lua_State *L);
int datagram_send_to(lua_State *L, struct socket *s, const struct address *a);

/* the rest of the world */
int condition_new(lua_State *L);
void condition_open(lua_State *L);
struct waitq *condition_test(lua_State *L, int index); /* NULL: not a gate */
int standard_open(lua_State *L);
int standard_isatty(lua_State *L);
int signal_open(lua_State *L);
int process_open(lua_State *L);
void service_open(lua_State *L);
int readline_open(lua_State *L);
int fork_open(lua_State *L);
void coroutine_install(lua_State *L);
void debug_install(lua_State *L);
void require_install(lua_State *L);
int module_exit(lua_State *L);

void signal_close_all(void);
void process_close_all(void);
void readline_close(void);

/* Pushes a function of a module that is written in Lua, and loads that if need be. */
void module_push_function(lua_State *L, const char *module, const char *name);
/* With a table whose keys are the names there are on top, which is replaced: what is added to the
 * message about one that there is not: misuse.hint. */
const char *module_push_hint(lua_State *L, const char *name);

void module_open_globals(lua_State *L);
void module_close_all(void);

#endif
