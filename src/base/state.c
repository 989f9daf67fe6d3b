/* SPDX-License-Identifier: MIT
 *
 * The one runtime, and the request that it end: see state.h.
 */
#include "base/state.h"
#include "base/clock.h"

struct runtime rt;

bool state_is_overdue(void) {
    return clock_now() >= rt.unwound_by;
}

void state_exit(int status) {
    if (!rt.exiting) {
        rt.exiting = !rt.closing; /* teardown is not torn down again */
        rt.status = status;
    }
}
