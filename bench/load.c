/* SPDX-License-Identifier: MIT
 *
 * The load generator: drives several servers in turn and compares them with the first.
 *
 * The method. The machine's speed drifts by more than the differences we look for, so all servers
 * are up at once, their connections are opened beforehand, and the client gives each a short slice,
 * cycle after cycle. A server is compared with the reference within the same cycle, a fraction of a
 * second apart, and the median over the cycles is reported. The order rotates and reverses, so that
 * nobody always comes first or always follows the same neighbour. The reference is listed twice,
 * as two processes: if its two ratios differ, the run measured the machine, and is void.
 *
 * It rejects long slices. On a virtual machine that loses a tenth of its time to neighbours, twelve
 * seconds of measuring gave A/A medians of 0.83-0.99 as 100 cycles of 40 ms, 0.98-1.01 as 200 of
 * 20 ms, and 0.998-1.000 as 400 of 10 ms: close pairs share their weather, and there are more of
 * them. A slice must still be several times the latency, or it measures little but its beginning.
 * Spinning instead of sleeping (--spin) made the medians no steadier, so it is not the default.
 *
 * Everything is bounded in time: a server that does not answer ends the run (PATIENCE_MS), and so
 * does the alarm, after ten times as long as the slices should take.
 * Exit status: 0 measured, 1 could not measure, 2 wrong arguments, 3 measured but void.
 */

#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct load_case *const cases[] = {
    &load_case_echo, &load_case_lines, &load_case_get,   &load_case_kv,
    &load_case_sink, &load_case_chat,  &load_case_close, &load_case_udp,
};
enum { CASES = sizeof cases / sizeof *cases };

void fail(const char *format, ...) {
    va_list arguments;
    fputs("load: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(EXIT_FAILED);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) fail("out of memory");
    return memory;
}

uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void print_usage(FILE *file) {
    fputs("usage: load [OPTION...] NAME=PORT:PID...\n"
          "\n"
          "Drives the servers on 127.0.0.1 in turn and compares them with the first one, the\n"
          "reference. Give the reference twice, under the same name, so that the noise shows.\n"
          "\n"
          "  --case NAME       what to do, see below (echo)\n"
          "  --connections N   to each server (64)\n"
          "  --size BYTES      of a message (64)\n"
          "  --depth N         messages in flight on a connection (1)\n"
          "  --slice-ms N      how long a server is driven at a time (10)\n"
          "  --cycles N        how often each server gets a slice (400)\n"
          "  --spin            never sleep: for a client that has a core of its own\n"
          "  --results FILE    add the numbers to this file, for bench/table.lua\n"
          "  --label NAME      the name of this run in it\n"
          "  --help            this text\n"
          "\n"
          "cases:\n",
          file);
    for (size_t i = 0; i < CASES; i++) {
        fprintf(file, "  %-17s %s\n", cases[i]->name, cases[i]->summary);
    }
}

static void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void usage_error(const char *format, ...) {
    va_list arguments;
    fputs("load: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs("\ntry: load --help\n", stderr);
    exit(EXIT_USAGE);
}

/* Stops at the first byte that is no digit; an empty, negative or huge number is an error. */
static int parse_digits(const char *text, const char **end, long low, long high, long *number) {
    char *after;
    if (*text < '0' || *text > '9') return 0;
    errno = 0;
    *number = strtol(text, &after, 10);
    *end = after;
    return errno == 0 && *number >= low && *number <= high;
}

static long parse_option(const char *name, const char *text, long low, long high) {
    const char *end;
    long number;
    if (!parse_digits(text, &end, low, high, &number) || *end != '\0') {
        usage_error("--%s: '%s' is not a number from %ld to %ld", name, text, low, high);
    }
    return number;
}

static const struct load_case *parse_case(const char *name) {
    for (size_t i = 0; i < CASES; i++) {
        if (strcmp(cases[i]->name, name) == 0) return cases[i];
    }
    usage_error("--case: there is no case '%s'", name);
}

/* Cuts the name off in place: the argument vector outlives the run. */
static void parse_target(char *text, struct target *target) {
    char *equals = strchr(text, '=');
    const char *end = NULL;
    long port = 0, pid = 0;
    if (equals == NULL || equals == text || !parse_digits(equals + 1, &end, 1, 65535, &port) ||
        *end != ':' || !parse_digits(end + 1, &end, 1, 1L << 22, &pid) || *end != '\0') {
        usage_error("'%s' is not NAME=PORT:PID", text);
    }
    *equals = '\0';
    target->name = text;
    target->port = (int)port;
    target->pid = (int)pid;
}

static void parse_options(int argc, char **argv, struct options *options) {
    static const struct option names[] = {
        {"case", required_argument, NULL, 'c'},
        {"connections", required_argument, NULL, 'n'},
        {"size", required_argument, NULL, 's'},
        {"depth", required_argument, NULL, 'd'},
        {"cycles", required_argument, NULL, 'y'},
        {"slice-ms", required_argument, NULL, 'm'},
        {"spin", no_argument, NULL, 'p'},
        {"results", required_argument, NULL, 'r'},
        {"label", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int index = 0;
    for (int letter; (letter = getopt_long(argc, argv, "", names, &index)) != -1;) {
        const char *name = names[index].name;
        switch (letter) {
        case 'c': options->load_case = parse_case(optarg); break;
        case 'n': options->connections = parse_option(name, optarg, 1, 20000); break;
        case 's': options->size = parse_option(name, optarg, 1, 1 << 20); break;
        case 'd': options->depth = parse_option(name, optarg, 1, 1024); break;
        case 'm': options->slice_ms = parse_option(name, optarg, 1, 10000); break;
        case 'y': options->cycles = parse_option(name, optarg, 1, 10000); break;
        case 'p': options->spin = 1; break;
        case 'r': options->results = optarg; break;
        case 'l': options->label = optarg; break;
        case 'h': print_usage(stdout); exit(0);
        default: usage_error("wrong option"); /* getopt has said which */
        }
    }
}

static size_t parse_targets(int argc, char **argv, struct target *targets) {
    int count = argc - optind;
    if (count < 1) usage_error("no server is named");
    if (count > MAX_TARGETS) usage_error("more than %d servers", MAX_TARGETS);
    for (int i = 0; i < count; i++) parse_target(argv[optind + i], &targets[i]);
    return (size_t)count;
}

/* Lets the server fall asleep, so that its processor time is up to date and it disturbs nobody. */
static void settle(void) {
    struct timespec pause = {.tv_nsec = 500000};
    nanosleep(&pause, NULL);
}

static void run_window(struct target *target, const struct options *options, uint64_t window_ns,
                       struct slice *slice) {
    uint64_t server_before = cpu_of_process_ns(target);
    uint64_t client_before = cpu_of_client_ns();
    *slice = (struct slice){0};
    options->load_case->run(target->state, window_ns, slice, &target->latency);
    slice->client_cpu_ns = cpu_of_client_ns() - client_before;
    settle();
    slice->server_cpu_ns = cpu_of_process_ns(target) - server_before;
}

/* A window in which the server did nothing (other programs had its processor) says nothing about
 * it: it is opened again, twice as long. */
static void run_slice(struct target *target, const struct options *options, struct slice *slice) {
    uint64_t window_ns = (uint64_t)options->slice_ms * 1000000;
    for (uint64_t limit = window_ns + (uint64_t)PATIENCE_MS * 1000000; window_ns < limit;) {
        run_window(target, options, window_ns, slice);
        if (slice->answered > 0 && slice->server_cpu_ns > 0) return;
        window_ns *= 2;
    }
    fail("%s: used no processor time, or answered nothing, for %d ms", target->name, PATIENCE_MS);
}

/* Even cycles go forwards and odd ones backwards, each pair one server further on. */
static size_t whose_turn(size_t cycle, size_t turn, size_t count) {
    size_t place = cycle % 2 == 0 ? turn : count - 1 - turn;
    return (place + cycle / 2) % count;
}

static void on_alarm(int number) {
    static const char message[] = "load: the run took far too long\n";
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
    (void)ignored;
    _exit(EXIT_FAILED);
}

static void limit_time(size_t count, const struct options *options) {
    signal(SIGALRM, on_alarm);
    alarm(30 + (unsigned)(options->cycles * options->slice_ms / 100) * (unsigned)count);
}

static void open_all(struct target *targets, size_t count, const struct options *options) {
    for (size_t i = 0; i < count; i++) {
        targets[i].slices = allocate((size_t)options->cycles, sizeof *targets[i].slices);
        targets[i].state = options->load_case->open(&targets[i], options);
    }
}

/* A slice for each that does not count: it shows that everybody answers, and fills the caches. */
static void warm_up(struct target *targets, size_t count, const struct options *options) {
    for (size_t i = 0; i < count; i++) {
        struct slice ignored = {0};
        run_slice(&targets[i], options, &ignored);
        targets[i].latency = (struct histogram){0};
    }
}

static void run_cycles(struct target *targets, size_t count, const struct options *options) {
    for (size_t cycle = 0; cycle < (size_t)options->cycles; cycle++) {
        for (size_t turn = 0; turn < count; turn++) {
            struct target *target = &targets[whose_turn(cycle, turn, count)];
            run_slice(target, options, &target->slices[cycle]);
        }
    }
}

static void close_all(struct target *targets, size_t count, const struct options *options) {
    for (size_t i = 0; i < count; i++) {
        options->load_case->close(targets[i].state);
        free(targets[i].slices);
    }
}

int main(int argc, char **argv) {
    static struct target targets[MAX_TARGETS];
    struct options options = {.load_case = &load_case_echo,
                              .label = "",
                              .connections = 64,
                              .size = 64,
                              .depth = 1,
                              .slice_ms = 10,
                              .cycles = 400};
    parse_options(argc, argv, &options);
    size_t count = parse_targets(argc, argv, targets);
    limit_time(count, &options);
    open_all(targets, count, &options);
    warm_up(targets, count, &options);
    run_cycles(targets, count, &options);
    int status = report(targets, count, &options);
    close_all(targets, count, &options);
    return status;
}
