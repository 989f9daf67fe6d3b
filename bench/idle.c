/* SPDX-License-Identifier: MIT
 *
 * What an idle connection costs a server in memory. Opens CONNECTIONS to it, says one message on
 * each and waits until it has come back, so that every connection has been at work and has come to
 * rest, and compares the server's resident memory before and after. It is a process of its own, so
 * that nothing of the client's is counted; what the kernel keeps for a socket is in nobody's.
 *
 * Usage: idle CONNECTIONS PORT PID. Prints the bytes for each connection after connecting, and
 * after the message.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
    fprintf(stderr, "idle: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* smaps_rollup is exact, where statm lags behind by some pages for each processor. */
static long resident_kib(int pid) {
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) fail(path);
    while (kib < 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Rss:", 4) == 0) kib = strtol(line + 4, NULL, 10);
    }
    fclose(file);
    if (kib < 0) fail(path);
    return kib;
}

static int open_connection(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    return fd;
}

static void talk(int fd) {
    static const char message[] =
        "sixty-four bytes, which the server is to send back as they are..";
    char answer[sizeof message];
    size_t answered = 0;
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) != sizeof message) fail("send");
    while (answered < sizeof message) {
        ssize_t count = recv(fd, answer + answered, sizeof answer - answered, 0);
        if (count <= 0) fail("recv");
        answered += (size_t)count;
    }
    if (memcmp(answer, message, sizeof message) != 0) fail("the answer is wrong");
}

int main(int argc, char **argv) {
    int count = argc == 4 ? (int)strtol(argv[1], NULL, 10) : 0;
    if (count <= 0 || count > 1000000) {
        fputs("usage: idle CONNECTIONS PORT PID\n", stderr);
        return 2;
    }
    int port = (int)strtol(argv[2], NULL, 10), pid = (int)strtol(argv[3], NULL, 10);
    int *fds = calloc((size_t)count, sizeof *fds);
    struct timespec pause = {.tv_nsec = 200000000};
    if (fds == NULL) fail("calloc");
    talk(open_connection(port)); /* whatever the first one needs is not the connection's */
    long before = resident_kib(pid);
    for (int i = 0; i < count; i++) fds[i] = open_connection(port);
    nanosleep(&pause, NULL); /* the last ones may still have to be accepted */
    long connected = resident_kib(pid);
    for (int i = 0; i < count; i++) talk(fds[i]);
    long talked = resident_kib(pid);
    printf("%.0f %.0f\n", (double)(connected - before) * 1024 / count,
           (double)(talked - before) * 1024 / count);
    return 0;
}
