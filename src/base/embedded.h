/* SPDX-License-Identifier: MIT
 *
 * The Lua half of lariat, carried inside the program.
 *
 * Every file under lua/ becomes one entry, named as `require` names it: lua/socket.lua is "socket",
 * lua/lariat/task.lua is "lariat.task", lua/lariat/init.lua is "lariat". The table is written at
 * build time by src/embed.c and ends with an entry whose name is NULL.
 *
 * Invariant: bytecode is what the liblua inside the program reads, because the program that wrote it
 * was linked with the same one; it is never read from anywhere else. The source was rejected:
 * parsing it was a third of the time an empty script took. Names of variables and numbers of lines
 * are kept, so a message that names "socket:12" points at line 12 of lua/socket.lua.
 */
#ifndef LARIAT_EMBEDDED_H
#define LARIAT_EMBEDDED_H

#include <stddef.h>

struct embedded_module {
    const char *name; /* as in require(name) */
    const char *code; /* bytecode, not a copy: it lives as long as the program */
    size_t size;      /* in bytes */
};

extern const struct embedded_module embedded_modules[];

#endif
