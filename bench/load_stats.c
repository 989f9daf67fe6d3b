/* SPDX-License-Identifier: MIT
 *
 * Quantiles: of a few numbers by sorting them, of millions of latencies by a histogram.
 *
 * The histogram has octaves of HISTOGRAM_STEPS equal steps. Values below HISTOGRAM_STEPS have a
 * bucket each; above, a value's bucket is given by the position of its highest bit and the four
 * bits below it. It rejects keeping every latency: that memory would compete with the messages for
 * the cache while we measure.
 */

#include "load.h"

#include <stdlib.h>

enum { STEP_BITS = 4 };

static size_t bucket_of(uint64_t value) {
    if (value < HISTOGRAM_STEPS) return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - STEP_BITS;
    return (size_t)(shift + 1) * HISTOGRAM_STEPS + (size_t)((value >> shift) - HISTOGRAM_STEPS);
}

/* The middle of the bucket. */
static double value_of(size_t bucket) {
    if (bucket < HISTOGRAM_STEPS) return (double)bucket;
    double width = (double)(UINT64_C(1) << (bucket / HISTOGRAM_STEPS - 1));
    return ((double)(bucket % HISTOGRAM_STEPS) + HISTOGRAM_STEPS + 0.5) * width;
}

void histogram_add(struct histogram *histogram, uint64_t value) {
    histogram->counts[bucket_of(value)]++;
    histogram->total++;
}

double histogram_quantile(const struct histogram *histogram, double quantile) {
    double wanted = quantile * (double)histogram->total;
    uint64_t seen = 0;
    for (size_t bucket = 0; bucket < HISTOGRAM_SIZE; bucket++) {
        seen += histogram->counts[bucket];
        if (seen > 0 && (double)seen >= wanted) return value_of(bucket);
    }
    return 0;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Interpolates between the two nearest values. */
double quantile_of(double *values, size_t count, double quantile) {
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, compare);
    double place = quantile * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}
