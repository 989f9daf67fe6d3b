/* SPDX-License-Identifier: MIT
 *
 * What the files of the reference servers share. One program holds them all, `server PROTOCOL`:
 *
 *     server.c         the command line and the list of protocols
 *     server_stream.c  TCP on libuv: accepting, reading, writing at once or collected
 *     server_echo.c    protocols without structure: echo, sink, close
 *     server_lines.c   cutting lines; the protocol that sends each line back
 *     server_get.c     a key is asked for and its value answered
 *     server_chat.c    what one client says is sent to all of them
 *     server_proxy.c   a forwarder to another server
 *     server_udp.c     datagrams are sent back
 *     server_epoll.c   echo without libuv: what the kernel itself allows
 *
 * A failure has nobody to recover it: it ends the program through die(), with one line.
 */

#ifndef SERVER_H
#define SERVER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* this header comes before any of the system's */
#endif

#include <stddef.h>
#include <uv.h>

enum { SERVER_BACKLOG = 1024, SERVER_READ_SIZE = 65536 };

/* What the command line can name. `serve` prints the port (see print_port) and never returns. */
struct protocol {
    const char *name;
    const char *summary;
    void (*serve)(int port, int backend_port);
};

/* One accepted connection. At rest it owns no memory but itself. */
struct connection {
    uv_tcp_t tcp;
    const struct stream_protocol *protocol;
    struct block *block; /* output that is being collected, or NULL */
    char *partial;       /* the beginning of a line, or NULL */
    size_t partial_size;
    unsigned rests;          /* writes under way; meanwhile nothing is read */
    struct connection *next; /* in the list of those that are to be flushed */
};

/* How a TCP server treats its connections. `on_open` and `on_close` may be NULL. */
struct stream_protocol {
    void (*on_open)(struct connection *connection);
    void (*on_data)(struct connection *connection, const char *bytes, size_t count);
    void (*on_close)(struct connection *connection);
};

extern const struct protocol protocol_echo, protocol_sink, protocol_close;
extern const struct protocol protocol_lines, protocol_lines_batch;
extern const struct protocol protocol_get, protocol_get_batch;
extern const struct protocol protocol_kv, protocol_kv_batch;
extern const struct protocol protocol_chat, protocol_chat_batch;
extern const struct protocol protocol_proxy, protocol_udp, protocol_epoll;

/* server.c */
void die(const char *what, int status) __attribute__((noreturn));
void check(const char *what, int status); /* dies if the status is negative */
void *allocate(size_t size);
void print_port(int port);
struct sockaddr_in loopback(int port);

/* server_stream.c */
uv_tcp_t *stream_listen(int port, uv_connection_cb on_connection);
void stream_serve(int port, const struct stream_protocol *protocol);
void stream_write(struct connection *connection, const char *bytes, size_t count);
void stream_append(struct connection *connection, const char *bytes, size_t count);
void stream_flush(struct connection *connection);
void stream_flush_each_turn(void); /* whatever is appended leaves when all events are served */
void stream_close(struct connection *connection);

/* server_lines.c */
typedef void line_handler(struct connection *connection, const char *line, size_t length);
void lines_cut(struct connection *connection, const char *bytes, size_t count, line_handler *each);

#endif
