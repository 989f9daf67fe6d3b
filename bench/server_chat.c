/* SPDX-License-Identifier: MIT
 *
 * Chat: each line that a client sends goes to all clients, the one who said it included. `chat`
 * writes to each of them at once; `chat-batch` collects what everybody is to hear and writes when
 * all events of the turn have been served, which is when one write can carry most.
 */

#include "server.h"

#include <stdlib.h>

static struct connection **clients;
static size_t client_count, client_room;

/* From the end: when a client leaves while a line goes round, nobody else is passed over. */
static void say_now(struct connection *connection, const char *line, size_t length) {
    (void)connection;
    for (size_t i = client_count; i-- > 0;) {
        if (i < client_count) stream_write(clients[i], line, length);
    }
}

static void say_later(struct connection *connection, const char *line, size_t length) {
    (void)connection;
    for (size_t i = client_count; i-- > 0;) {
        if (i < client_count) stream_append(clients[i], line, length);
    }
}

static void chat_open(struct connection *connection) {
    if (client_count == client_room) {
        client_room = client_room * 2 + 16;
        clients = realloc(clients, client_room * sizeof *clients);
        if (clients == NULL) die("realloc", UV_ENOMEM);
    }
    clients[client_count++] = connection;
}

static void chat_close(struct connection *connection) {
    for (size_t i = 0; i < client_count; i++) {
        if (clients[i] != connection) continue;
        clients[i] = clients[--client_count];
        return;
    }
}

static void chat_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, say_now);
}

static void chat_batch_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, say_later);
}

static void chat_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {
        .on_open = chat_open, .on_data = chat_data, .on_close = chat_close};
    (void)backend_port;
    stream_serve(port, &protocol);
}

static void chat_batch_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {
        .on_open = chat_open, .on_data = chat_batch_data, .on_close = chat_close};
    (void)backend_port;
    stream_flush_each_turn();
    stream_serve(port, &protocol);
}

const struct protocol protocol_chat = {
    .name = "chat",
    .summary = "sends each line to every client",
    .serve = chat_serve,
};

const struct protocol protocol_chat_batch = {
    .name = "chat-batch",
    .summary = "sends the lines of a turn to every client together",
    .serve = chat_batch_serve,
};
