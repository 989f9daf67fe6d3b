/* SPDX-License-Identifier: MIT
 *
 * The driver: everything the runtime asks of the world below sockets. `driver_kernel` answers with
 * syscalls and libuv; a simulated network can answer from memory. Buffering, framing, timeouts and
 * tasks live above this table and exist once.
 *
 * Every function returns a value >= 0, or -errno. None of them blocks, none touches Lua.
 */
#ifndef LARIAT_DRIVER_H
#define LARIAT_DRIVER_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct lookup;
struct time_source;
struct watch;

struct driver {
    /* sockets: non-blocking, close-on-exec */
    int (*socket)(int family, int type, int protocol);
    int (*close)(int fd);
    int (*bind)(int fd, const struct sockaddr *address, socklen_t length);
    int (*listen)(int fd, int backlog);
    int (*accept)(int fd, struct sockaddr_storage *peer, socklen_t *length);
    int (*connect)(int fd, const struct sockaddr *address, socklen_t length);
    int (*shutdown)(int fd, int how);
    int (*getsockname)(int fd, struct sockaddr_storage *address, socklen_t *length);
    int (*getpeername)(int fd, struct sockaddr_storage *address, socklen_t *length);
    int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *length);
    int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t length);

    /* bytes and datagrams */
    ssize_t (*recv)(int fd, void *data, size_t size);
    ssize_t (*sendmsg)(int fd, const struct msghdr *message);
    int (*recvmmsg)(int fd, struct mmsghdr *messages, unsigned count);
    int (*sendmmsg)(int fd, struct mmsghdr *messages, unsigned count);

    /* readiness: `poll` looks once and never waits; `watch` reports level-triggered readiness of
     * w->fd through watch_ready() until asked for other events (POLLIN | POLLOUT, 0 stops). */
    int (*poll)(struct pollfd *set, nfds_t count);
    int (*watch)(struct watch *w, int events);
    struct watch *(*owner)(int fd); /* the watch a descriptor number belongs to, or NULL */

    /* names: starts a lookup, which ends in lookup_done(), or is `done` already on return */
    int (*lookup)(struct lookup *lookup);

    /* may be NULL: nobody waits for a lookup any more; if it has not begun it does not begin, and
     * lookup_done() is called soon */
    void (*forget_lookup)(struct lookup *lookup);
    /* may be NULL: a descriptor that others have made is ours now, and calls on it must not wait;
     * 0, or -errno if it cannot be ours */
    int (*adopt)(int fd);
    /* may be NULL: from now on others read from or close the descriptor as well */
    void (*expose)(int fd);
    /* may be NULL: takes up to `size` bytes from one stream and gives another what it accepts,
     * copying none; the rest, `left` bytes, lies in `rest`. Returns the bytes taken, 0 at the end,
     * or -errno of the first, told once as by recv; -EOPNOTSUPP: recv has to be asked. */
    ssize_t (*forward)(int from, int to, void *rest, size_t size, size_t *left);
};

extern const struct driver driver_kernel;
extern const struct time_source time_kernel;

/* Its readiness, see poller.c; a turn looks what has become ready, and waits for it if asked to. */
int driver_kernel_open(void);
void driver_kernel_turn(bool wait);
void driver_kernel_close(void);

#endif
