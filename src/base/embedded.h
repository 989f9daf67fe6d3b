/* SPDX-License-Identifier: MIT
 *
 * The Lua modules under lua/, compiled into the program.
 *
 * Every file under lua/ becomes one entry, named as `require` names it: lua/socket.lua is "socket",
 * lua/lariat/task.lua is "lariat.task", lua/lariat/init.lua is "lariat". The table is written at
 * build time by src/embed.c and ends with an entry whose name is NULL.
 *
 * Invariant: the bytecode fits the Lua library inside the program, because src/embed.c was linked
 * with the same one; bytecode is loaded from nowhere else. Embedding the source was rejected:
 * parsing it was a third of the time an empty script took. The bytecode keeps variable names and
 * line numbers, so a message that names "socket:12" means line 12 of lua/socket.lua.
 */
#ifndef LARIAT_EMBEDDED_H
#define LARIAT_EMBEDDED_H

#include <stddef.h>

struct embedded_module {
    const char *name; /* as in require(name) */
    const char *code; /* bytecode; constant, never freed */
    size_t size;      /* in bytes */
};

extern const struct embedded_module embedded_modules[];

#endif
