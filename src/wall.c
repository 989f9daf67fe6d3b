/* SPDX-License-Identifier: MIT
 *
 * time() and clock() as Lua calls them: os.time, os.date and os.clock ask the C library, and Lua is
 * linked statically, so these two take the C library's place for it and for nobody else. In a
 * simulation they follow virtual time. While an exact state is made time stands still, since Lua
 * makes its seed for hashing of it.
 *
 * Invariant: they work at any moment, also before there is a runtime.
 */
#include <time.h>

#include "clock.h"
#include "runtime.h"

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
