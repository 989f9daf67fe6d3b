/* SPDX-License-Identifier: MIT
 *
 * The simulation under way, which all files of this folder share, and its failure: see run.h.
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
