/* SPDX-License-Identifier: MIT
 *
 * The protocols that look at no byte:
 *
 *     echo   what came is sent back, each read by its own write
 *     sink   what came is dropped; for every 64 KiB one byte is answered, so that the client knows
 *     close  a connection is accepted and closed
 */

#include "server.h"

static void echo_data(struct connection *connection, const char *bytes, size_t count) {
    stream_write(connection, bytes, count);
}

static void echo_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = echo_data};
    (void)backend_port;
    stream_serve(port, &protocol);
}

enum { SINK_UNIT = 65536 };

/* `partial_size` counts the bytes of the unit that is coming in; nothing is kept of them. */
static void sink_data(struct connection *connection, const char *bytes, size_t count) {
    (void)bytes;
    connection->partial_size += count;
    while (connection->partial_size >= SINK_UNIT) {
        connection->partial_size -= SINK_UNIT;
        stream_write(connection, ".", 1);
    }
}

static void sink_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = sink_data};
    (void)backend_port;
    stream_serve(port, &protocol);
}

static void close_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_open = stream_close};
    (void)backend_port;
    stream_serve(port, &protocol);
}

const struct protocol protocol_echo = {
    .name = "echo",
    .summary = "sends back what came",
    .serve = echo_serve,
};

const struct protocol protocol_sink = {
    .name = "sink",
    .summary = "drops what came, and answers a byte for each 64 KiB",
    .serve = sink_serve,
};

const struct protocol protocol_close = {
    .name = "close",
    .summary = "closes every connection",
    .serve = close_serve,
};
