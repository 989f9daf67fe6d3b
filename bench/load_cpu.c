/* SPDX-License-Identifier: MIT
 *
 * The processor time that a server has used, over all its threads, in nanoseconds, and the memory it
 * has had at its most.
 *
 * The source is schedstat in /proc/PID/task/TID, whose first number is the time on a processor. It
 * is brought up to date when the thread leaves the processor, so it is exact only while the server
 * sleeps: the caller reads it when nothing is in flight. It rejects /proc/PID/stat and getrusage,
 * which count in ticks of 4 to 10 ms, a good part of a slice.
 */

#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A thread may end between readdir and fopen; its time is then lost, which costs accuracy only. */
static uint64_t cpu_of_thread_ns(int pid, const char *thread) {
    char path[320];
    uint64_t on_cpu = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    if (fscanf(file, "%" SCNu64, &on_cpu) != 1) on_cpu = 0;
    fclose(file);
    return on_cpu;
}

uint64_t cpu_of_process_ns(const struct target *target) {
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", target->pid);
    DIR *threads = opendir(path);
    if (threads == NULL) {
        fail("%s: process %d: %s", target->name, target->pid, strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(threads)) != NULL;) {
        if (entry->d_name[0] != '.') sum += cpu_of_thread_ns(target->pid, entry->d_name);
    }
    closedir(threads);
    if (sum == 0) fail("%s: no processor time in %s/*/schedstat", target->name, path);
    return sum;
}

long peak_of_process_kib(const struct target *target) {
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", target->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) fail("%s: process %d: %s", target->name, target->pid, strerror(errno));
    while (kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &kib) != 1) kib = 0;
    }
    fclose(file);
    return kib;
}

uint64_t cpu_of_client_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}
