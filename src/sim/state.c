/* SPDX-License-Identifier: MIT
 *
 * The state of the run under way, apart from run.c so that the files below it may use it, and the
 * failure that any of them may report.
 */
#include <stdarg.h>
#include <stdio.h>

#include "sim/run.h"

struct simulation sim;

void sim_fail(const char *format, ...) {
    va_list arguments;
    sim.over = true;
    if (sim.failure == NULL) {
        va_start(arguments, format);
        if (vasprintf(&sim.failure, format, arguments) < 0) {
            sim.failure = NULL;
        }
        va_end(arguments);
    }
}
