/* SPDX-License-Identifier: MIT
 *
 * libuv's pool of threads, on which names are looked up and nothing else is done. libuv starts all of
 * them at its first use, and aborts the program if one cannot be started: under `ulimit -u`,
 * `ulimit -v` or a pids limit. So before that as many threads and SPARE more are started for a
 * moment (3 ms in all, once). If not all of them can be, the pool gets half of those that can: the others'
 * place and memory is for child processes, and for what the lookups themselves allocate.
 *
 * Invariant: the pool is used only after threads_start() has returned 0. UV_THREADPOOL_SIZE is what
 * the user has set, or unset, except inside that function: children never see ours.
 */
#include "threads.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime.h"

#define SIZE_NAME "UV_THREADPOOL_SIZE"
#define WANTED 32 /* libuv makes slow requests, as lookups, on half of them */
#define MOST 1024 /* libuv's own bound */
#define SPARE 8

static pid_t owner; /* the process that has started the pool; a copy of it has none */

static unsigned wanted(const char *size) {
    int n = size != NULL ? atoi(size) : WANTED;
    return n < 0 || n > MOST ? MOST : n == 0 ? 1 : (unsigned)n;
}

static void wait_for_mutex(void *mutex) {
    uv_mutex_lock(mutex);
    uv_mutex_unlock(mutex);
}

/* How many threads can run at once, up to `most`; made as libuv makes them. */
static unsigned count_startable(unsigned most) {
    uv_thread_t threads[MOST + SPARE];
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

/* libuv reads the variable now. The pool's first task is this one, which does not look at the
 * environment while that changes back. */
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

/* The C library gives each thread that allocates 64 MiB of addresses to do so, for speed. Under a limit
 * on addresses those are worth more to the script. */
static void spare_addresses(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        mallopt(M_ARENA_MAX, 1);
    }
}

static int count_and_start(void) {
    const char *before = getenv(SIZE_NAME);
    unsigned size = wanted(before);
    unsigned count = count_startable(size + SPARE);
    if (count == 0) {
        return THREADS_NONE;
    }
    if (count < size + SPARE) {
        size = count > 1 ? count / 2 : 1;
    }
    spare_addresses();
    return start_pool(size, before);
}

/* No signal is handled in one of the threads: they start with all of them blocked. */
int threads_start(void) {
    sigset_t all, old;
    pid_t self = getpid();
    if (owner == self) {
        return 0;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = count_and_start();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    owner = err == 0 ? self : owner;
    return err;
}
