/* SPDX-License-Identifier: MIT
 *
 * The one runtime, and the request that it end: see state.h.
 */
#include "base/state.h"

struct runtime rt;

void state_exit(int status) {
    if (!rt.exiting) {
        rt.exiting = !rt.closing; /* teardown is not torn down again */
        rt.status = status;
    }
}
