/* SPDX-License-Identifier: MIT
 *
 * Definitions of time() and clock() that replace the C library's for this program. Lua, which is
 * linked in statically, calls them in os.time, os.date and os.clock; shared libraries still call the C
 * library's. In a simulation both return virtual time. While an exact state is created time() returns
 * 0, because Lua's seed for hashing depends on it.
 *
 * Invariant: both work at any moment, also before the runtime is open.
 */
#include <time.h>

#include "base/clock.h"
#include "base/state.h"

time_t time(time_t *result) {
    struct timespec now = {0, 0};
    if (rt.world != NULL) {
        now.tv_sec = (time_t)clock_wall();
    } else if (!rt.exact || rt.L != NULL) {
        clock_gettime(CLOCK_REALTIME, &now);
    }
    if (result != NULL) {
        *result = now.tv_sec;
    }
    return now.tv_sec;
}

clock_t clock(void) {
    struct timespec used;
    if (rt.world != NULL) {
        return (clock_t)(clock_now() / (1000000000 / CLOCKS_PER_SEC));
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * CLOCKS_PER_SEC + used.tv_nsec / (1000000000 / CLOCKS_PER_SEC);
}
