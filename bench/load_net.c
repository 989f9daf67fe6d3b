/* SPDX-License-Identifier: MIT
 *
 * Connecting to a server on this machine, within a time limit.
 *
 * It rejects non-blocking connects by the hundred: the connections are opened before anything is
 * measured, and one at a time cannot overflow the server's backlog (a dropped SYN costs a second).
 * The kernel itself bounds a blocking connect by SO_SNDTIMEO; after it the socket never blocks.
 */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

static struct sockaddr_in address_of(const struct target *target) {
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)target->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int net_begin_connect(const struct target *target) {
    struct sockaddr_in address = address_of(target);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) fail("%s: socket: %s", target->name, strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0 &&
        errno != EINPROGRESS) {
        fail("%s: cannot connect: %s", target->name, strerror(errno));
    }
    return fd;
}

int net_connect(const struct target *target, uint64_t deadline_ns) {
    struct sockaddr_in address = address_of(target);
    uint64_t now = now_ns();
    uint64_t left_us = now < deadline_ns ? (deadline_ns - now) / 1000 : 0;
    if (left_us == 0) fail("%s: connecting took too long", target->name);
    struct timeval limit = {.tv_sec = (time_t)(left_us / 1000000),
                            .tv_usec = (suseconds_t)(left_us % 1000000)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("%s: socket: %s", target->name, strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) {
        fail("%s: setsockopt: %s", target->name, strerror(errno));
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
        const char *reason = errno == EINPROGRESS ? "it took too long" : strerror(errno);
        fail("%s: cannot connect to 127.0.0.1 port %d: %s", target->name, target->port, reason);
    }
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) fail("%s: fcntl: %s", target->name, strerror(errno));
    return fd;
}
