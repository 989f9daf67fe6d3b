/* SPDX-License-Identifier: MIT
 *
 * libuv's thread pool, used for name lookups only. libuv starts all its threads at the first use,
 * and aborts the program if one cannot be started: under `ulimit -u`, `ulimit -v` or a pids limit.
 * So as many threads, and RESERVE more, are first started as a trial, and joined (3 ms in all,
 * once). If not all of them can run, the pool gets half of those that can: the rest of the limit is
 * left to child processes, and to what the lookups themselves allocate.
 *
 * Invariant: the pool is used only after threads_start() has returned 0. The environment variable
 * UV_THREADPOOL_SIZE is changed only inside that function: child processes never see our value.
 */
#include "kernel/threads.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/state.h"

#define SIZE_NAME "UV_THREADPOOL_SIZE"
#define WANTED 32 /* libuv runs slow requests, such as lookups, on at most half of them */
#define MOST 1024 /* libuv's own limit */
#define RESERVE 8 /* threads that must be possible beyond the pool's */

static pid_t pool_pid; /* the process that has started the pool; a forked child has no threads */

static unsigned wanted(const char *size) {
    int n = size != NULL ? atoi(size) : WANTED;
    return n < 0 || n > MOST ? MOST : n == 0 ? 1 : (unsigned)n;
}

static void wait_for_mutex(void *mutex) {
    uv_mutex_lock(mutex);
    uv_mutex_unlock(mutex);
}

/* How many threads can run at once, up to `most`; started as libuv starts its own. */
static unsigned count_startable(unsigned most) {
    uv_thread_t threads[MOST + RESERVE];
    unsigned count = 0;
    uv_mutex_t mutex;
    if (uv_mutex_init(&mutex) != 0) {
        return 0;
    }
    uv_mutex_lock(&mutex);
    while (count < most && uv_thread_create(&threads[count], wait_for_mutex, &mutex) == 0) {
        count++;
    }
    uv_mutex_unlock(&mutex);
    for (unsigned i = 0; i < count; i++) {
        uv_thread_join(&threads[i]);
    }
    uv_mutex_destroy(&mutex);
    return count;
}

static void nothing(uv_work_t *request) {
    (void)request;
}

/* libuv reads the variable when it starts the pool, inside uv_queue_work. The first request does
 * nothing, so no thread reads the environment while the variable is set back. */
static int start_pool(unsigned size, const char *before) {
    static uv_work_t request;
    char text[16], *kept = before != NULL ? strdup(before) : NULL;
    snprintf(text, sizeof(text), "%u", size);
    if ((before != NULL && kept == NULL) || setenv(SIZE_NAME, text, 1) < 0) {
        free(kept);
        return UV_EAI_MEMORY;
    }
    uv_queue_work(&rt.loop, &request, nothing, NULL);
    if (kept != NULL) {
        setenv(SIZE_NAME, kept, 1);
        free(kept);
    } else {
        unsetenv(SIZE_NAME);
    }
    return 0;
}

/* For speed, the C library reserves 64 MiB of address space for each thread that allocates. Under a
 * limit on address space (`ulimit -v`) that is left to the script. */
static void spare_addresses(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        mallopt(M_ARENA_MAX, 1);
    }
}

static int count_and_start(void) {
    const char *before = getenv(SIZE_NAME);
    unsigned size = wanted(before);
    unsigned count = count_startable(size + RESERVE);
    if (count == 0) {
        return THREADS_NONE;
    }
    if (count < size + RESERVE) {
        size = count > 1 ? count / 2 : 1;
    }
    spare_addresses();
    return start_pool(size, before);
}

/* The threads inherit a mask that blocks all signals: handlers run on the main thread only. */
int threads_start(void) {
    sigset_t all, old;
    pid_t self = getpid();
    if (pool_pid == self) {
        return 0;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = count_and_start();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pool_pid = err == 0 ? self : pool_pid;
    return err;
}
