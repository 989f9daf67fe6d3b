/* SPDX-License-Identifier: MIT
 *
 * The refusal, in a simulation, of what only the real world can do.
 */
#include "base/world.h"

#include <lauxlib.h>

#include "base/state.h"

void world_refuse(lua_State *L, const char *what) {
    if (rt.world != NULL) {
        luaL_error(L, "%s is not simulated: it would wait for the real world", what);
    }
}
