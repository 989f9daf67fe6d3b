/* SPDX-License-Identifier: MIT
 *
 * Echo without libuv: one level-triggered epoll set, one recv and one send for each event. It shows
 * what libuv itself costs. Bytes that the kernel does not take at once are waited for with poll:
 * the benchmark's client always reads, and nothing here is for other use.
 */

#include "server.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024 };

static char read_buffer[SERVER_READ_SIZE];

static int checked(const char *what, int result) {
    if (result < 0) die(what, uv_translate_sys_error(errno));
    return result;
}

static void watch(int set, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    checked("epoll_ctl", epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void accept_all(int set, int server) {
    int fd, one = 1;
    while ((fd = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(set, fd);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) checked("accept", -1);
}

static int send_all(int fd, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return -1;
        if (sent < 0) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, -1);
            continue;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
    return 0;
}

static void echo(int fd) {
    ssize_t count = recv(fd, read_buffer, sizeof read_buffer, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 || send_all(fd, read_buffer, (size_t)count) < 0) close(fd);
}

static void epoll_serve(int port, int backend_port) {
    struct sockaddr_in address = loopback(port);
    socklen_t length = sizeof address;
    struct epoll_event events[EVENTS];
    (void)backend_port;
    int set = checked("epoll_create1", epoll_create1(EPOLL_CLOEXEC));
    int server = checked("socket", socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    checked("bind", bind(server, (const struct sockaddr *)&address, sizeof address));
    checked("listen", listen(server, SERVER_BACKLOG));
    checked("getsockname", getsockname(server, (struct sockaddr *)&address, &length));
    watch(set, server);
    print_port(ntohs(address.sin_port));
    for (;;) {
        int count = epoll_wait(set, events, EVENTS, -1);
        if (count < 0 && errno != EINTR) checked("epoll_wait", -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server) {
                accept_all(set, server);
            } else {
                echo(events[i].data.fd);
            }
        }
    }
}

const struct protocol protocol_epoll = {
    .name = "epoll",
    .summary = "echo on raw epoll",
    .serve = epoll_serve,
};
