/* SPDX-License-Identifier: MIT
 *
 * The one runtime, and the request to exit.
 */
#include "base/state.h"

struct runtime rt;

void state_exit(int status) {
    if (!rt.exiting) {
        rt.exiting = !rt.closing; /* during teardown only the status changes */
        rt.status = status;
    }
}
