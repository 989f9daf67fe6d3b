/* SPDX-License-Identifier: MIT
 *
 * The reference: a TCP echo server in C on libuv, written the way a libuv user would write it. The
 * benchmarks compare lariat with this program, so it must be good: it answers inside the read
 * callback with uv_try_write, copies only what the kernel did not take, and sets TCP_NODELAY.
 *
 * Invariant: while a uv_write of the rest is under way the connection does not read, so echoed
 * bytes keep their order and a peer that never reads costs one read buffer, not memory without end.
 *
 * It rejects collecting several messages into one write. Each read is answered by its own write,
 * as nearly all libuv servers do. The one read buffer is shared: a connection at rest owns none.
 *
 * Usage: echo_uv [PORT]. Port 0, the default, lets the kernel pick. The port is the first line of
 * stdout. It runs until a signal ends it.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* uv.h needs more of POSIX than plain C11 shows */
#endif

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { BACKLOG = 1024, READ_SIZE = 65536 };

/* The bytes that the kernel did not take at once, on their way through uv_write. */
struct rest {
    uv_write_t request;
    char bytes[];
};

static char read_buffer[READ_SIZE];

static void die(const char *what, int status) {
    fprintf(stderr, "echo_uv: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (memory == NULL) {
        fprintf(stderr, "echo_uv: out of memory\n");
        abort();
    }
    return memory;
}

static void on_closed(uv_handle_t *handle) {
    free(handle);
}

static void close_connection(uv_stream_t *connection) {
    if (!uv_is_closing((uv_handle_t *)connection)) uv_close((uv_handle_t *)connection, on_closed);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *connection, ssize_t count, const uv_buf_t *buffer);

static void on_rest_written(uv_write_t *request, int status) {
    uv_stream_t *connection = request->handle;
    free(request->data);
    if (status == 0) status = uv_read_start(connection, lend_buffer, on_read);
    if (status < 0) close_connection(connection);
}

static void write_rest(uv_stream_t *connection, const char *bytes, size_t count) {
    struct rest *rest = allocate(sizeof *rest + count);
    memcpy(rest->bytes, bytes, count);
    rest->request.data = rest;
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned)count);
    uv_read_stop(connection);
    if (uv_write(&rest->request, connection, &buffer, 1, on_rest_written) < 0) {
        free(rest);
        close_connection(connection);
    }
}

static void on_read(uv_stream_t *connection, ssize_t count, const uv_buf_t *buffer) {
    if (count == 0) return; /* nothing to read after all */
    if (count < 0) {
        close_connection(connection);
        return;
    }
    uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)count);
    int written = uv_try_write(connection, &reply, 1);
    if (written == UV_EAGAIN) written = 0;
    if (written < 0) {
        close_connection(connection);
    } else if (written < count) {
        write_rest(connection, buffer->base + written, (size_t)(count - written));
    }
}

static void on_connection(uv_stream_t *server, int status) {
    if (status < 0) {
        fprintf(stderr, "echo_uv: accept: %s\n", uv_strerror(status));
        return;
    }
    uv_tcp_t *connection = allocate(sizeof *connection);
    uv_tcp_init(server->loop, connection);
    if (uv_accept(server, (uv_stream_t *)connection) < 0 || uv_tcp_nodelay(connection, 1) < 0 ||
        uv_read_start((uv_stream_t *)connection, lend_buffer, on_read) < 0) {
        close_connection((uv_stream_t *)connection);
    }
}

static void print_port(const uv_tcp_t *server) {
    struct sockaddr_in address;
    int length = sizeof address;
    int status = uv_tcp_getsockname(server, (struct sockaddr *)&address, &length);
    if (status < 0) die("getsockname", status);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static int parse_port(int argc, char **argv) {
    if (argc < 2) return 0;
    char *end;
    long port = strtol(argv[1], &end, 10);
    if (argc > 2 || end == argv[1] || *end != '\0' || port < 0 || port > 65535) {
        fprintf(stderr, "usage: echo_uv [PORT]\n");
        exit(2);
    }
    return (int)port;
}

int main(int argc, char **argv) {
    struct sockaddr_in address;
    uv_tcp_t server;
    int port = parse_port(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    uv_tcp_init(uv_default_loop(), &server);
    uv_ip4_addr("127.0.0.1", port, &address);
    int status = uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
    if (status < 0) die("bind", status);
    status = uv_listen((uv_stream_t *)&server, BACKLOG, on_connection);
    if (status < 0) die("listen", status);
    print_port(&server);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
