/* SPDX-License-Identifier: MIT
 *
 * Lines: cutting them out of what was read, and the protocol that sends each one back.
 *
 * Whole lines are handed on where they lie in the read buffer. Only the beginning of a line whose
 * end has not come is copied, and joined with the next read. A line may have LONGEST bytes, which
 * also bounds what looking at its beginning again can cost.
 */

#include "server.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST = 65536 };

static void keep_partial(struct connection *connection, const char *bytes, size_t count) {
    if (count > LONGEST) {
        stream_close(connection);
        return;
    }
    connection->partial = allocate(count);
    memcpy(connection->partial, bytes, count);
    connection->partial_size = count;
}

static void cut(struct connection *connection, const char *bytes, size_t count,
                line_handler *each) {
    const char *end = bytes + count;
    for (const char *newline; (newline = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL;) {
        size_t length = (size_t)(newline - bytes) + 1;
        each(connection, bytes, length);
        if (uv_is_closing((uv_handle_t *)&connection->tcp)) return;
        bytes += length;
    }
    if (bytes < end) keep_partial(connection, bytes, (size_t)(end - bytes));
}

void lines_cut(struct connection *connection, const char *bytes, size_t count, line_handler *each) {
    if (connection->partial == NULL) {
        cut(connection, bytes, count, each);
        return;
    }
    size_t before = connection->partial_size;
    char *joined = allocate(before + count);
    memcpy(joined, connection->partial, before);
    memcpy(joined + before, bytes, count);
    free(connection->partial);
    connection->partial = NULL;
    cut(connection, joined, before + count, each);
    free(joined);
}

static void lines_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, stream_write);
}

static void lines_batch_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, stream_append);
    stream_flush(connection);
}

static void lines_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = lines_data};
    (void)backend_port;
    stream_serve(port, &protocol);
}

static void lines_batch_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = lines_batch_data};
    (void)backend_port;
    stream_serve(port, &protocol);
}

const struct protocol protocol_lines = {
    .name = "lines",
    .summary = "sends back each line by itself",
    .serve = lines_serve,
};

const struct protocol protocol_lines_batch = {
    .name = "lines-batch",
    .summary = "sends back the lines of a read together",
    .serve = lines_batch_serve,
};
