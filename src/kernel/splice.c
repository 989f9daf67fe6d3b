/* SPDX-License-Identifier: MIT
 *
 * Forwarding from one socket to another without copying to user space: splice(2) into a pipe, and
 * out of it, moves pages.
 *
 * Invariant: the pipe is empty between two calls. What the second socket does not accept is read
 * from the pipe at once, so nothing is lost if forwarding stops there, and one pipe serves all
 * connections.
 *
 * Only between private internet sockets: splice obeys the O_NONBLOCK of the description, which
 * foreign code that has the descriptor might clear.
 */
#include "kernel/splice.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/state.h"
#include "kernel/poller.h"

#define PIPE_SIZE (256 * 1024) /* bytes; each fragment of a packet takes a whole page of it */
#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

static int ends[2] = {-1, -1}; /* of the pipe: made at first use, kept until exit */

static int open_pipe(void) {
    if (ends[0] < 0) {
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
            return -errno;
        }
        fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* if refused, a call forwards less */
    }
    return 0;
}

static ssize_t splice_some(int from, int to, size_t size) {
    ssize_t n;
    rt.writing = 1;
    do {
        n = splice(from, NULL, to, NULL, size, FLAGS);
    } while (n < 0 && errno == EINTR);
    rt.writing = 0;
    return n < 0 ? -errno : n;
}

static void read_back(char *rest, size_t size) {
    while (size > 0) {
        ssize_t n = read(ends[0], rest, size);
        assert(n > 0 || errno == EINTR);
        rest += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

ssize_t splice_forward(int from, int to, void *rest, size_t size, size_t *left) {
    *left = 0;
    if (!poller_owns(from) || !poller_owns(to)) {
        return -EOPNOTSUPP;
    }
    if (open_pipe() < 0) {
        return -EOPNOTSUPP;
    }
    ssize_t taken = splice_some(from, ends[1], size), n = 1;
    if (taken <= 0) {
        if (taken == -EAGAIN) {
            poller_blocked(from, POLLIN);
        }
        return taken == -EINVAL ? -EOPNOTSUPP : taken;
    }
    for (*left = (size_t)taken; *left > 0 && n > 0; *left -= n > 0 ? (size_t)n : 0) {
        n = splice_some(ends[0], to, *left);
    }
    if (n == -EAGAIN) {
        poller_blocked(to, POLLOUT);
    }
    read_back(rest, *left);
    return taken;
}
