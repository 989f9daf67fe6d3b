/* SPDX-License-Identifier: MIT
 *
 * What the files of the load generator share. One file owns one concept:
 *
 *     load.c         the command line, the cycles of slices, and so the method of measurement
 *     load_echo.c    cases of asking and answering: echo, lines, get, sink
 *     load_talk.c    the engine of those
 *     load_chat.c    load_close.c  load_udp.c: further cases; all are listed in load.c
 *     load_net.c     connecting to a server, within a time limit
 *     load_cpu.c     the processor time and the memory that a server has used
 *     load_stats.c   quantiles and the latency histogram
 *     load_report.c  the table and the verdict
 *
 * A failure to measure has nobody to recover it, so every function either succeeds or ends the
 * program through fail(), with one line that names the server.
 */

#ifndef LOAD_H
#define LOAD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* this header comes before any of the system's */
#endif

#include <stddef.h>
#include <stdint.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_VOID = 3 };
enum { MAX_TARGETS = 8, PATIENCE_MS = 5000 }; /* how long a server may leave us without an answer */

/* Latencies in octaves of 16 steps: within 6 % everywhere, 4 KiB, and a few ns to record one. */
enum { HISTOGRAM_STEPS = 16, HISTOGRAM_SIZE = 61 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t total;
    uint32_t counts[HISTOGRAM_SIZE];
};

/* What the user asked for. What "message" and "deep" mean is the case's business. */
struct options {
    const struct load_case *load_case;
    long connections; /* to each server */
    long size;        /* bytes in a message */
    long depth;       /* messages in flight on each connection */
    long slice_ms;
    long cycles;
    const char *results; /* a file to add the numbers to, or NULL */
    const char *label;   /* of this run in that file */
    int spin;            /* poll without sleeping: for a client that has a core of its own */
};

/* One slice as the client saw it. */
struct slice {
    uint64_t window_ns;  /* the measured time, in which new messages were sent */
    uint64_t answered;   /* messages answered within the window: these make the rate */
    uint64_t elapsed_ns; /* the window and the wait for the messages in flight at its end */
    uint64_t messages;   /* all messages answered: these share the processor time */
    uint64_t server_cpu_ns;
    uint64_t client_cpu_ns;
};

/* One server process. */
struct target {
    const char *name;
    int port;
    int pid;
    void *state;          /* the case's own: its connections to this server */
    struct slice *slices; /* one for each cycle */
    struct histogram latency;
};

/* A case is what the client does with a server. `open` prepares everything that should not be
 * measured. `run` sends for `window_ns`, waits until nothing is in flight, and fills in the first
 * four fields of the slice. */
struct load_case {
    const char *name;
    const char *summary;
    void *(*open)(const struct target *target, const struct options *options);
    void (*run)(void *state, uint64_t window_ns, struct slice *slice, struct histogram *latency);
    void (*close)(void *state);
};

extern const struct load_case load_case_echo, load_case_lines, load_case_get, load_case_kv;
extern const struct load_case load_case_sink, load_case_chat, load_case_close, load_case_udp;

/* Bytes without end: messages of `size` bytes, which repeat after `period` bytes. Behind the period
 * its beginning follows once more, for TALK_PIECE bytes. */
struct stream {
    unsigned char *bytes;
    uint64_t size, period;
};

enum { TALK_PIECE = 65536 }; /* the most that is sent, or compared, in one call */

/* load.c */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *allocate(size_t count, size_t size); /* zeroed */
uint64_t now_ns(void);

/* load_net.c */
int net_connect(const struct target *target, uint64_t deadline_ns); /* non-blocking, TCP_NODELAY */
int net_begin_connect(const struct target *target);                 /* does not wait */

/* load_talk.c */
void *talk_open(const struct target *target, const struct options *options,
                const struct stream *question, const struct stream *answer);
void talk_run(void *state, uint64_t window_ns, struct slice *slice, struct histogram *latency);
void talk_close(void *state);

/* load_cpu.c */
uint64_t cpu_of_process_ns(const struct target *target);
uint64_t cpu_of_client_ns(void);
long peak_of_process_kib(const struct target *target); /* resident memory at its most */

/* load_stats.c */
void histogram_add(struct histogram *histogram, uint64_t value);
double histogram_quantile(const struct histogram *histogram, double quantile);
double quantile_of(double *values, size_t count, double quantile); /* sorts the values */

/* load_report.c */
int report(struct target *targets, size_t count,
           const struct options *options); /* the exit status */

#endif
