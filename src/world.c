/* SPDX-License-Identifier: MIT
 *
 * What only the real world can do is refused in any other: see world.h.
 */
#include "world.h"

#include <lauxlib.h>

#include "runtime.h"

void world_refuse(lua_State *L, const char *what) {
    if (rt.world != NULL) {
        luaL_error(L, "%s is not simulated: it would wait for the real world", what);
    }
}
