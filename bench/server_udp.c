/* SPDX-License-Identifier: MIT
 *
 * UDP on libuv: each datagram is sent back from the receive callback, as a libuv user would do it.
 * It rejects UV_UDP_RECVMMSG, which few programs know of.
 */

#include "server.h"

static char read_buffer[SERVER_READ_SIZE];

static void lend_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(read_buffer, sizeof read_buffer);
}

/* A datagram that the kernel does not take is lost, as datagrams may be. */
static void on_datagram(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags) {
    (void)flags;
    if (count < 0) die("recv", (int)count);
    if (from == NULL) return; /* nothing more to read */
    uv_buf_t reply = uv_buf_init(buffer->base, (unsigned)count);
    uv_udp_try_send(udp, &reply, 1, from);
}

static void udp_serve(int port, int backend_port) {
    static uv_udp_t udp;
    struct sockaddr_in address = loopback(port);
    int length = sizeof address;
    (void)backend_port;
    check("udp_init", uv_udp_init(uv_default_loop(), &udp));
    check("bind", uv_udp_bind(&udp, (const struct sockaddr *)&address, 0));
    check("getsockname", uv_udp_getsockname(&udp, (struct sockaddr *)&address, &length));
    check("recv_start", uv_udp_recv_start(&udp, lend_buffer, on_datagram));
    print_port(ntohs(address.sin_port));
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

const struct protocol protocol_udp = {
    .name = "udp",
    .summary = "sends back each datagram",
    .serve = udp_serve,
};
