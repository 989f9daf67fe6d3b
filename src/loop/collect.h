/* SPDX-License-Identifier: MIT
 *
 * When Lua's collector runs, and in which mode: see collect.c. In an exact state, and once the
 * script has made a choice of its own with collectgarbage, none of these does anything.
 */
#ifndef LARIAT_COLLECT_H
#define LARIAT_COLLECT_H

#include <lua.h>
#include <stdbool.h>

void collect_open(lua_State *L); /* puts ours in place of collectgarbage; may raise (memory) */
/* Between two ticks: collects if it is time, or changes the mode or the pace. True: finalizers may
 * have run. */
bool collect_tick(void);
/* Nothing is ready: is there so much garbage, and a collection so short, that it should be made? */
bool collect_wants_idle(void);
void collect_idle(void); /* collects; runs finalizers */

#endif
