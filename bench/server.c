/* SPDX-License-Identifier: MIT
 *
 * The reference servers: what lariat is compared with, in C, the way a good libuv user would write
 * them. They answer inside the read callback with uv_try_write, copy only what the kernel did not
 * take, set TCP_NODELAY, and a connection at rest owns no buffer.
 *
 * Where a protocol can have several answers to one read there are two of them: NAME writes each
 * answer at once, as nearly all libuv servers do, and NAME-batch collects them into one write.
 *
 * Usage: server PROTOCOL [PORT [BACKEND_PORT]]. Port 0, the default, lets the kernel pick. The port
 * is the first line of stdout. It runs until a signal ends it.
 */

#include "server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct protocol *const protocols[] = {
    &protocol_echo, &protocol_sink,      &protocol_close, &protocol_lines,
    &protocol_get,  &protocol_chat,      &protocol_proxy, &protocol_lines_batch,
    &protocol_udp,  &protocol_get_batch, &protocol_epoll, &protocol_chat_batch,
    &protocol_kv,   &protocol_kv_batch,
};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

void die(const char *what, int status) {
    fprintf(stderr, "server: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

void check(const char *what, int status) {
    if (status < 0) die(what, status);
}

void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) die("malloc", UV_ENOMEM);
    return memory;
}

void print_port(int port) {
    printf("%d\n", port);
    fflush(stdout);
}

struct sockaddr_in loopback(int port) {
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", port, &address);
    return address;
}

static void usage_error(void) {
    fputs("usage: server PROTOCOL [PORT [BACKEND_PORT]]\n\nprotocols:\n", stderr);
    for (size_t i = 0; i < PROTOCOLS; i++) {
        fprintf(stderr, "  %-12s %s\n", protocols[i]->name, protocols[i]->summary);
    }
    exit(2);
}

static const struct protocol *parse_protocol(const char *name) {
    for (size_t i = 0; i < PROTOCOLS; i++) {
        if (strcmp(protocols[i]->name, name) == 0) return protocols[i];
    }
    usage_error();
    return NULL;
}

static int parse_port(const char *text) {
    char *end;
    long port = strtol(text, &end, 10);
    if (end == text || *end != '\0' || port < 0 || port > 65535) usage_error();
    return (int)port;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 4) usage_error();
    const struct protocol *protocol = parse_protocol(argv[1]);
    int port = argc > 2 ? parse_port(argv[2]) : 0;
    int backend_port = argc > 3 ? parse_port(argv[3]) : 0;
    signal(SIGPIPE, SIG_IGN);
    protocol->serve(port, backend_port);
    return 0;
}
