/* SPDX-License-Identifier: MIT
 *
 * TCP on libuv: accepting, reading, and two ways of writing.
 *
 * stream_write hands the bytes to the kernel at once; what it does not take is copied and follows
 * by uv_write. stream_append collects bytes in a block; stream_flush writes the block. Blocks come
 * from a free list, last in first out, so that a busy server always uses the same warm ones.
 *
 * Invariant: while a rest is under way the connection does not read, so bytes keep their order and
 * a peer that sends and never reads costs a bounded amount of memory. (Chat is the exception: what
 * others say is queued for it without end.)
 */

#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 65536 };

struct block {
    struct block *next; /* in the free list */
    size_t used;
    char bytes[BLOCK_SIZE];
};

/* The bytes that the kernel did not take at once, on their way through uv_write. */
struct rest {
    uv_write_t request;
    char bytes[];
};

static char read_buffer[SERVER_READ_SIZE];
static struct block *free_blocks;
static struct connection *dirty; /* connections with a block, when flushing is once a turn */
static int each_turn;
static uv_check_t turn_end;

static void on_closed(uv_handle_t *handle) {
    free(handle); /* tcp is the connection's first member */
}

void stream_close(struct connection *connection) {
    uv_handle_t *handle = (uv_handle_t *)&connection->tcp;
    if (uv_is_closing(handle)) return;
    if (connection->protocol->on_close != NULL) connection->protocol->on_close(connection);
    stream_flush(connection);
    free(connection->partial);
    connection->partial = NULL;
    if (!uv_is_closing(handle)) uv_close(handle, on_closed);
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct connection *connection = (struct connection *)stream;
    if (count > 0) connection->protocol->on_data(connection, buffer->base, (size_t)count);
    if (count < 0) stream_close(connection);
}

static void on_rest_written(uv_write_t *request, int status) {
    struct connection *connection = (struct connection *)request->handle;
    free(request->data);
    connection->rests--;
    if (uv_is_closing((uv_handle_t *)request->handle)) return;
    if (status == 0 && connection->rests == 0) {
        status = uv_read_start(request->handle, lend_buffer, on_read);
    }
    if (status < 0) stream_close(connection);
}

static void write_rest(struct connection *connection, const char *bytes, size_t count) {
    struct rest *rest = allocate(sizeof *rest + count);
    uv_stream_t *stream = (uv_stream_t *)&connection->tcp;
    memcpy(rest->bytes, bytes, count);
    rest->request.data = rest;
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned)count);
    uv_read_stop(stream);
    if (uv_write(&rest->request, stream, &buffer, 1, on_rest_written) < 0) {
        free(rest);
        stream_close(connection);
        return;
    }
    connection->rests++;
}

void stream_write(struct connection *connection, const char *bytes, size_t count) {
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)count);
    if (uv_is_closing((uv_handle_t *)&connection->tcp)) return;
    int written = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    if (written == UV_EAGAIN) written = 0;
    if (written < 0) {
        stream_close(connection);
    } else if ((size_t)written < count) {
        write_rest(connection, bytes + written, count - (size_t)written);
    }
}

static struct block *take_block(void) {
    struct block *block = free_blocks;
    if (block == NULL) {
        block = allocate(sizeof *block);
    } else {
        free_blocks = block->next;
    }
    block->used = 0;
    return block;
}

void stream_append(struct connection *connection, const char *bytes, size_t count) {
    struct block *block = connection->block;
    if (block != NULL && count > BLOCK_SIZE - block->used) {
        stream_write(connection, block->bytes, block->used);
        block->used = 0;
    }
    if (count > BLOCK_SIZE) {
        stream_write(connection, bytes, count);
        return;
    }
    if (block == NULL) {
        block = connection->block = take_block();
        if (each_turn) {
            connection->next = dirty;
            dirty = connection;
        }
    }
    memcpy(block->bytes + block->used, bytes, count);
    block->used += count;
}

void stream_flush(struct connection *connection) {
    struct block *block = connection->block;
    if (block == NULL) return;
    connection->block = NULL;
    stream_write(connection, block->bytes, block->used);
    block->next = free_blocks;
    free_blocks = block;
    if (each_turn) { /* on_turn_end takes the first; only one that closes is looked for */
        struct connection **link = &dirty;
        while (*link != connection) link = &(*link)->next;
        *link = connection->next;
    }
}

static void on_turn_end(uv_check_t *handle) {
    (void)handle;
    while (dirty != NULL) stream_flush(dirty);
}

void stream_flush_each_turn(void) {
    each_turn = 1;
    check("check_init", uv_check_init(uv_default_loop(), &turn_end));
    check("check_start", uv_check_start(&turn_end, on_turn_end));
    uv_unref((uv_handle_t *)&turn_end);
}

static void on_connection(uv_stream_t *server, int status) {
    if (status < 0) {
        fprintf(stderr, "server: accept: %s\n", uv_strerror(status));
        return;
    }
    struct connection *connection = allocate(sizeof *connection);
    *connection = (struct connection){.protocol = server->data};
    uv_tcp_init(server->loop, &connection->tcp);
    if (uv_accept(server, (uv_stream_t *)&connection->tcp) < 0) {
        stream_close(connection);
        return;
    }
    if (connection->protocol->on_open != NULL) connection->protocol->on_open(connection);
    if (connection->protocol->on_data == NULL) return;
    if (uv_tcp_nodelay(&connection->tcp, 1) < 0 ||
        uv_read_start((uv_stream_t *)&connection->tcp, lend_buffer, on_read) < 0) {
        stream_close(connection);
    }
}

uv_tcp_t *stream_listen(int port, uv_connection_cb on_new) {
    struct sockaddr_in address = loopback(port);
    int length = sizeof address;
    uv_tcp_t *server = allocate(sizeof *server);
    check("tcp_init", uv_tcp_init(uv_default_loop(), server));
    check("bind", uv_tcp_bind(server, (const struct sockaddr *)&address, 0));
    check("listen", uv_listen((uv_stream_t *)server, SERVER_BACKLOG, on_new));
    check("getsockname", uv_tcp_getsockname(server, (struct sockaddr *)&address, &length));
    print_port(ntohs(address.sin_port));
    return server;
}

void stream_serve(int port, const struct stream_protocol *protocol) {
    uv_tcp_t *server = stream_listen(port, on_connection);
    server->data = (void *)(uintptr_t)protocol;
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
