/* SPDX-License-Identifier: MIT
 *
 * The allocator of an exact state: the addresses of its objects and the moments of its garbage
 * collections repeat. Between arena_begin and arena_end (a run) both depend only on what is
 * allocated in between, in every process and however often the run is repeated.
 *
 * In a state that is not exact (arena_open was not called, or failed), arena_begin and arena_end do
 * nothing, arena_full is false, and arena_collect must not be called.
 */
#ifndef LARIAT_ARENA_H
#define LARIAT_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* Once, before the state is made. False: its fixed addresses are taken, or there is no memory. */
bool arena_open(void);

/* The state's lua_Alloc; `ud` is not used. */
void *arena_alloc(void *ud, void *block, size_t osize, size_t nsize);

/* Begin a run: collects all garbage, then stops Lua's collector; and end it: restarts the
 * collector. Runs do not nest. */
void arena_begin(void);
void arena_end(void);

/* True during a run: a collection is due. The run's loop asks between ticks, and then calls
 * arena_collect, which collects everything and may run finalizers. */
bool arena_full(void);
void arena_collect(void);

/* Between these two, new objects do not belong to the run. For objects that are made once, at their
 * first use, and kept for the life of the program: that run must not differ from later ones. */
void arena_pause(void);
void arena_resume(void);

#endif
