/* SPDX-License-Identifier: MIT
 *
 * A forwarder: connects to BACKEND_PORT for each client and copies both ways.
 *
 * Invariant: while a rest is under way to one side, the other side is not read, so no more than one
 * read buffer of a direction is ever kept. The end of either side ends both: the benchmark has no
 * use for half-closed connections.
 */

#include "server.h"

#include <stdlib.h>
#include <string.h>

struct side {
    uv_tcp_t tcp;
    struct side *other; /* NULL when that one has been closed */
};

struct rest {
    uv_write_t request;
    char bytes[];
};

static int port_of_backend;
static char read_buffer[SERVER_READ_SIZE];

static void on_closed(uv_handle_t *handle) {
    free(handle);
}

static void close_both(struct side *side) {
    struct side *other = side->other;
    if (!uv_is_closing((uv_handle_t *)&side->tcp)) uv_close((uv_handle_t *)&side->tcp, on_closed);
    if (other != NULL && !uv_is_closing((uv_handle_t *)&other->tcp)) {
        uv_close((uv_handle_t *)&other->tcp, on_closed);
    }
}

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);

static void on_rest_written(uv_write_t *request, int status) {
    struct side *side = (struct side *)request->handle;
    free(request->data);
    if (uv_is_closing((uv_handle_t *)request->handle)) return;
    if (status == 0) status = uv_read_start((uv_stream_t *)&side->other->tcp, lend_buffer, on_read);
    if (status < 0) close_both(side);
}

static void write_rest(struct side *side, const char *bytes, size_t count) {
    struct rest *rest = allocate(sizeof *rest + count);
    memcpy(rest->bytes, bytes, count);
    rest->request.data = rest;
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned)count);
    uv_read_stop((uv_stream_t *)&side->other->tcp);
    if (uv_write(&rest->request, (uv_stream_t *)&side->tcp, &buffer, 1, on_rest_written) < 0) {
        free(rest);
        close_both(side);
    }
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
    struct side *side = (struct side *)stream;
    if (count == 0) return;
    if (count < 0) {
        close_both(side);
        return;
    }
    uv_buf_t bytes = uv_buf_init(buffer->base, (unsigned)count);
    int written = uv_try_write((uv_stream_t *)&side->other->tcp, &bytes, 1);
    if (written == UV_EAGAIN) written = 0;
    if (written < 0) {
        close_both(side);
    } else if (written < count) {
        write_rest(side->other, buffer->base + written, (size_t)(count - written));
    }
}

static void on_connected(uv_connect_t *request, int status) {
    struct side *side = (struct side *)request->handle;
    free(request);
    if (uv_is_closing((uv_handle_t *)&side->tcp)) return;
    if (status < 0 || uv_tcp_nodelay(&side->tcp, 1) < 0 ||
        uv_read_start((uv_stream_t *)&side->tcp, lend_buffer, on_read) < 0 ||
        uv_read_start((uv_stream_t *)&side->other->tcp, lend_buffer, on_read) < 0) {
        close_both(side);
    }
}

static void on_connection(uv_stream_t *server, int status) {
    if (status < 0) return;
    struct side *client = allocate(sizeof *client), *backend = allocate(sizeof *backend);
    struct sockaddr_in address = loopback(port_of_backend);
    uv_connect_t *request = allocate(sizeof *request);
    uv_tcp_init(server->loop, &client->tcp);
    uv_tcp_init(server->loop, &backend->tcp);
    client->other = backend;
    backend->other = client;
    check("accept", uv_accept(server, (uv_stream_t *)&client->tcp));
    check("nodelay", uv_tcp_nodelay(&client->tcp, 1));
    check("connect",
          uv_tcp_connect(request, &backend->tcp, (const struct sockaddr *)&address, on_connected));
}

static void proxy_serve(int port, int backend_port) {
    if (backend_port == 0) die("proxy needs the backend's port", UV_EINVAL);
    port_of_backend = backend_port;
    stream_listen(port, on_connection);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

const struct protocol protocol_proxy = {
    .name = "proxy",
    .summary = "forwards to BACKEND_PORT and back",
    .serve = proxy_serve,
};
