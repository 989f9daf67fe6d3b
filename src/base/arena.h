/* SPDX-License-Identifier: MIT
 *
 * Where the objects of an exact state lie, and when they are collected: see arena.c.
 */
#ifndef LARIAT_ARENA_H
#define LARIAT_ARENA_H

#include <stdbool.h>
#include <stddef.h>

bool arena_open(void); /* false: somebody else has the addresses */
void *arena_alloc(void *ud, void *block, size_t osize, size_t nsize); /* a lua_Alloc */

/* Between begin and end the addresses of new objects depend only on what is made in between, and
 * garbage is collected when arena_full says that it is time, and arena_collect does so. In a state
 * that is not exact, begin and end do nothing and the arena is never full. */
void arena_begin(void);
void arena_end(void);
bool arena_full(void); /* to be asked between ticks */
void arena_collect(void);

/* What is made between these two is the program's, also in a run: what is made once, whoever is the
 * first to need it. */
void arena_pause(void);
void arena_resume(void);

#endif
