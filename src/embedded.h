/* SPDX-License-Identifier: MIT
 *
 * The Lua half of lariat, carried inside the program.
 *
 * Every file under lua/ becomes one entry, named as `require` names it: lua/socket.lua is "socket",
 * lua/lariat/task.lua is "lariat.task", lua/lariat/init.lua is "lariat". The table is written at
 * build time by src/embed.sh and ends with an entry whose name is NULL.
 *
 * Invariant: source[size] is '\0' and the bytes are the file's own, so an error message that names
 * "lua/socket.lua:12" points at line 12 of that file. Plain bytes in an array were chosen over
 * bytecode (which ties the build to one Lua release) and over .incbin (which ties it to one
 * assembler); the sources are small and the compiler reads them in no time.
 */
#ifndef LARIAT_EMBEDDED_H
#define LARIAT_EMBEDDED_H

#include <stddef.h>

struct embedded_module {
    const char *name;   /* as in require(name) */
    const char *source; /* the text of the file, not a copy: it lives as long as the program */
    size_t size;        /* in bytes, without the final '\0' */
};

extern const struct embedded_module embedded_modules[];

#endif
