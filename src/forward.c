/* SPDX-License-Identifier: MIT
 *
 * Bytes from one socket to another that never come to us: splice into a pipe and out of it, which
 * passes pages on and copies none.
 *
 * Invariant: the pipe is empty between two calls. What the second socket does not take is read back
 * at once, so nothing is lost when the copying stops there, and one pipe serves all connections.
 *
 * Only internet sockets that nobody else knows of: splice obeys the description's own O_NONBLOCK,
 * which foreign code may have cleared.
 */
#include "forward.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "poller.h"
#include "runtime.h"

#define PIPE_SIZE (256 * 1024) /* in pages: a piece of a packet takes a whole one */
#define FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK)

static int ends[2] = {-1, -1}; /* made when first needed, kept until exit */

static int open_pipe(void) {
    if (ends[0] < 0) {
        if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) {
            return -errno;
        }
        fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* may be refused: then more rounds are needed */
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

ssize_t forward_bytes(int from, int to, void *rest, size_t size, size_t *left) {
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
