/* SPDX-License-Identifier: MIT
 *
 * A server at work, for those who ask whose connection a task handles: see serve.c.
 */
#ifndef LARIAT_SERVE_H
#define LARIAT_SERVE_H

#include <lua.h>

struct task_service;

void service_push_name(lua_State *L, const struct task_service *service);

#endif
