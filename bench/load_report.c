/* SPDX-License-Identifier: MIT
 *
 * From slices to the table and the verdict.
 *
 * Every ratio is taken within one cycle, between a server's slice and the reference's, and only
 * then is the median taken: a cycle in which the machine was slow changes neither. A ratio of rates
 * above 1 is faster than the reference, a ratio of processor time below 1 is cheaper. Absolute
 * numbers are printed for orientation only; no decision should rest on them.
 *
 * Only the calmer half of the cycles is used. A slice was calm when the server or the client was
 * on its processor all the time; when neither was, other programs or the hypervisor had taken it.
 * The choice is made for whole cycles, by rank, and without looking at the rates, so it favours
 * nobody. Latencies are those of all cycles; the worst one is also the machine's, so it is read
 * beside the reference's.
 *
 * Two more numbers guard against flattery: the median over all cycles ("all"), and the ratio of sums
 * over all cycles ("mean"), processor time by messages. A pause that comes in one slice of fifty does
 * not show in a median; it does in a mean.
 *
 * A server that carries the reference's name is the reference again. Its median must be within
 * VOID_BELOW and VOID_ABOVE; otherwise the differences of the others are not the servers' either.
 */

#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double VOID_BELOW = 0.97, VOID_ABOVE = 1.03;
static const double BUSY_ENOUGH = 0.85;

struct quartiles {
    double low, median, high;
};

/* Of one server's ratios to another's, over all cycles: medians, and ratios of sums. */
struct overall {
    double rate, cpu, mean_rate, mean_cpu;
};

static struct overall overalls[MAX_TARGETS][MAX_TARGETS];

typedef double measure(const struct slice *slice);

static double rate_of(const struct slice *slice) {
    return (double)slice->answered / ((double)slice->window_ns / 1e9);
}

static double cpu_per_message_of(const struct slice *slice) {
    return (double)slice->server_cpu_ns / (double)slice->messages;
}

static double server_share_of(const struct slice *slice) {
    return (double)slice->server_cpu_ns / (double)slice->elapsed_ns;
}

static double client_share_of(const struct slice *slice) {
    return (double)slice->client_cpu_ns / (double)slice->elapsed_ns;
}

static struct quartiles quartiles_of(double *values, size_t count) {
    return (struct quartiles){quantile_of(values, count, 0.25), quantile_of(values, count, 0.5),
                              quantile_of(values, count, 0.75)};
}

static double median_of(const struct target *target, size_t cycles, measure *measure_of) {
    double *values = allocate(cycles, sizeof *values);
    for (size_t i = 0; i < cycles; i++) values[i] = measure_of(&target->slices[i]);
    double median = quantile_of(values, cycles, 0.5);
    free(values);
    return median;
}

static struct quartiles ratios_of(const struct target *target, const struct target *reference,
                                  size_t cycles, measure *measure_of) {
    double *values = allocate(cycles, sizeof *values);
    for (size_t i = 0; i < cycles; i++) {
        values[i] = measure_of(&target->slices[i]) / measure_of(&reference->slices[i]);
    }
    struct quartiles ratios = quartiles_of(values, cycles);
    free(values);
    return ratios;
}

static double sum_of(const struct target *target, size_t cycles, measure *measure_of) {
    double sum = 0;
    for (size_t i = 0; i < cycles; i++) sum += measure_of(&target->slices[i]);
    return sum;
}

static double server_cpu_of(const struct slice *slice) {
    return (double)slice->server_cpu_ns;
}

static double messages_of(const struct slice *slice) {
    return (double)slice->messages;
}

/* Every server's windows are equally long together. */
static void compare_all_cycles(const struct target *targets, size_t count, size_t cycles) {
    double rates[MAX_TARGETS], costs[MAX_TARGETS];
    for (size_t i = 0; i < count; i++) {
        rates[i] = sum_of(&targets[i], cycles, rate_of);
        costs[i] =
            sum_of(&targets[i], cycles, server_cpu_of) / sum_of(&targets[i], cycles, messages_of);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            overalls[i][j] = (struct overall){
                .rate = ratios_of(&targets[i], &targets[j], cycles, rate_of).median,
                .cpu = ratios_of(&targets[i], &targets[j], cycles, cpu_per_message_of).median,
                .mean_rate = rates[i] / rates[j],
                .mean_cpu = costs[i] / costs[j],
            };
        }
    }
}

static void print_target(const struct target *target, const struct target *reference,
                         const struct overall *all, const char *mark, size_t cycles) {
    struct quartiles rate = ratios_of(target, reference, cycles, rate_of);
    struct quartiles cpu = ratios_of(target, reference, cycles, cpu_per_message_of);
    printf("%-12s%-4s %6.3f  %.3f-%.3f %6.3f %6.3f", target->name, mark, rate.median, rate.low,
           rate.high, all->rate, all->mean_rate);
    printf(" %7.3f  %.3f-%.3f %6.3f %6.3f", cpu.median, cpu.low, cpu.high, all->cpu, all->mean_cpu);
    printf(" %8.0f %7.2f %6.2f %6.2f %8.0f %8.0f %8.1f %8.1f\n", median_of(target, cycles, rate_of),
           median_of(target, cycles, cpu_per_message_of) / 1e3,
           median_of(target, cycles, server_share_of), median_of(target, cycles, client_share_of),
           histogram_quantile(&target->latency, 0.5) / 1e3,
           histogram_quantile(&target->latency, 0.99) / 1e3,
           histogram_quantile(&target->latency, 1) / 1e6,
           (double)peak_of_process_kib(target) / 1024);
}

static void print_heading(const struct options *options, size_t calm) {
    printf("%s: %ld connections x %ld B, %ld deep; the calmer %zu of %ld cycles of %ld ms each\n",
           options->load_case->name, options->connections, options->size, options->depth, calm,
           options->cycles, options->slice_ms);
    printf("%-16s %6s  %-11s %6s %6s %7s  %-11s %6s %6s", "server", "rate", "25-75 %", "all",
           "mean", "cpu/msg", "25-75 %", "all", "mean");
    printf(" %8s %7s %6s %6s %8s %8s %8s %8s\n", "msg/s", "us/msg", "busy", "client", "p50 us",
           "p99 us", "worst ms", "peak MiB");
}

/* A server that waits, for the client or because other programs have its processor, makes the
 * rates say little about it. */
static void warn_about_idle_servers(const struct target *targets, size_t count, size_t cycles) {
    for (size_t i = 0; i < count; i++) {
        double busy = median_of(&targets[i], cycles, server_share_of);
        if (busy >= BUSY_ENOUGH) continue;
        printf("note: %s was on its processor for %.0f %% of the time: judge by cpu/msg.\n",
               targets[i].name, 100 * busy);
        return;
    }
}

static double calm_of(const struct slice *slice) {
    double server = server_share_of(slice), client = client_share_of(slice);
    return server > client ? server : client;
}

/* A cycle is as calm as its least calm slice. */
static double calm_of_cycle(const struct target *targets, size_t count, size_t cycle) {
    double calm = calm_of(&targets[0].slices[cycle]);
    for (size_t i = 1; i < count; i++) {
        double other = calm_of(&targets[i].slices[cycle]);
        if (other < calm) calm = other;
    }
    return calm;
}

/* Moves the calmer half of the cycles to the front and returns how many they are. */
static size_t keep_calm_cycles(struct target *targets, size_t count, size_t cycles) {
    double *calms = allocate(cycles, sizeof *calms);
    for (size_t i = 0; i < cycles; i++) calms[i] = calm_of_cycle(targets, count, i);
    double limit = quantile_of(calms, cycles, 0.5);
    free(calms);
    size_t kept = 0;
    for (size_t cycle = 0; cycle < cycles; cycle++) {
        if (calm_of_cycle(targets, count, cycle) < limit) continue;
        for (size_t i = 0; i < count; i++) targets[i].slices[kept] = targets[i].slices[cycle];
        kept++;
    }
    return kept;
}

static int print_verdict(double again) {
    if (again >= VOID_BELOW && again <= VOID_ABOVE) {
        printf("A/A %.3f is within %.2f-%.2f: the run counts.\n", again, VOID_BELOW, VOID_ABOVE);
        return 0;
    }
    printf("VOID: A/A %.3f is outside %.2f-%.2f: the machine was too noisy.\n", again, VOID_BELOW,
           VOID_ABOVE);
    return EXIT_VOID;
}

static int is_again(const struct target *targets, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (strcmp(targets[i].name, targets[index].name) == 0) return 1;
    }
    return 0;
}

/* For every server a line of its own numbers, and one for each other server that it can be compared
 * with: the first of that name, the same name being A/A. Fields are separated by tabs. */
static void write_results(const struct target *targets, size_t count, const struct options *options,
                          size_t cycles) {
    FILE *file = fopen(options->results, "ae");
    if (file == NULL) fail("cannot write to %s", options->results);
    for (size_t i = 0; i < count; i++) {
        const struct target *target = &targets[i];
        fprintf(file, "server\t%s\t%s\t%.1f\t%.4f\t%.3f\t%.3f\t%.2f\t%.2f", options->label,
                target->name, median_of(target, cycles, rate_of),
                median_of(target, cycles, cpu_per_message_of) / 1e3,
                median_of(target, cycles, server_share_of),
                median_of(target, cycles, client_share_of),
                histogram_quantile(&target->latency, 0.5) / 1e3,
                histogram_quantile(&target->latency, 0.99) / 1e3);
        fprintf(file, "\t%.3f\t%.1f\n", histogram_quantile(&target->latency, 1) / 1e6,
                (double)peak_of_process_kib(target) / 1024);
        for (size_t j = 0; j < count; j++) {
            if (j == i || is_again(targets, j)) continue;
            struct quartiles rate = ratios_of(target, &targets[j], cycles, rate_of);
            struct quartiles cpu = ratios_of(target, &targets[j], cycles, cpu_per_message_of);
            fprintf(file, "pair\t%s\t%s\t%s\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f\t%.4f", options->label,
                    target->name, targets[j].name, rate.low, rate.median, rate.high, cpu.low,
                    cpu.median, cpu.high);
            fprintf(file, "\t%.4f\t%.4f\t%.4f\t%.4f\n", overalls[i][j].rate, overalls[i][j].cpu,
                    overalls[i][j].mean_rate, overalls[i][j].mean_cpu);
        }
    }
    fclose(file);
}

int report(struct target *targets, size_t count, const struct options *options) {
    compare_all_cycles(targets, count, (size_t)options->cycles);
    size_t cycles = keep_calm_cycles(targets, count, (size_t)options->cycles);
    const struct target *again = NULL;
    print_heading(options, cycles);
    for (size_t i = 0; i < count; i++) {
        int same = i > 0 && strcmp(targets[i].name, targets[0].name) == 0;
        if (same && again == NULL) again = &targets[i];
        const char *mark = i == 0 ? "" : same ? " A/A" : "";
        print_target(&targets[i], &targets[0], &overalls[i][0], mark, cycles);
    }
    if (options->results != NULL) write_results(targets, count, options, cycles);
    warn_about_idle_servers(targets, count, cycles);
    if (again == NULL) {
        printf("The reference is listed once: nothing here tells noise from a difference.\n");
        return 0;
    }
    return print_verdict(ratios_of(again, &targets[0], cycles, rate_of).median);
}
