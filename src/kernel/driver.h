/* SPDX-License-Identifier: MIT
 *
 * The driver: a table of everything that sockets ask of the operating system. `driver_kernel` makes
 * system calls; a simulated network answers from memory; pipes and files have drivers of their own
 * (kernel/file.h), which leave out what a stream does not need. Buffering, framing, timeouts and
 * tasks are above this table and exist once.
 *
 * Unless it says otherwise, a function behaves as the system call of its name and returns a value
 * >= 0, or -errno (never -EINTR). None blocks, none touches Lua, none raises.
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

    /* readiness: `poll` looks once and never waits. `watch` reports level-triggered readiness of
     * w->fd by calling watch_ready(), for these events (POLLIN | POLLOUT; 0: none) instead of those
     * asked for before; after an error it reports none. -EEXIST: another watch has the number. */
    int (*poll)(struct pollfd *set, nfds_t count);
    int (*watch)(struct watch *w, int events);
    struct watch *(*watch_of)(int fd); /* the watch that has this number, or NULL */

    /* names: starts a lookup. 0: it is `done` on return, or its `ended` is called later; else
     * UV_EAI_* or -errno, and `ended` is not called. */
    int (*lookup)(struct lookup *lookup);

    /* may be NULL: the answer is not needed any more. A lookup that no thread has begun is not
     * begun; `ended` is still called, later. */
    void (*forget_lookup)(struct lookup *lookup);
    /* may be NULL: prepares a descriptor that foreign code has made, so that calls on it do not
     * block; 0, or -errno if it is no socket */
    int (*adopt)(int fd);
    /* may be NULL: from now on foreign code may use, or close, the descriptor */
    void (*expose)(int fd);
    /* may be NULL: receives up to `size` bytes from one stream and sends to another what that
     * accepts, without copying; what it does not accept, `*left` bytes, is put into `rest`. Returns
     * the number of bytes received, 0 at the end of `from`, or -errno of receiving from it;
     * -EOPNOTSUPP: use recv and sendmsg. Errors of `to` are left to the next sendmsg. */
    ssize_t (*forward)(int from, int to, void *rest, size_t size, size_t *left);
};

extern const struct driver driver_kernel;
extern const struct time_source time_kernel;

/* Prepares readiness and the alarm, after uv_loop_init. 0 or -errno. */
int driver_kernel_open(void);

/* One turn of the event loop: calls watch_ready() for what is ready, runs libuv's callbacks, and
 * calls clock_fire() if the alarm has rung. `wait`: waits until there is something of these. */
void driver_kernel_turn(bool wait);

/* After the loop has been closed. */
void driver_kernel_close(void);

#endif
