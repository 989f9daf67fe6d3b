/* SPDX-License-Identifier: MIT
 *
 * The chat case: CONNECTIONS clients, and what one says comes back to all of them. A line of SIZE
 * bytes begins with the number of the client who said it; a client says its next line when it hears
 * its own. A message is one line said, so it is CONNECTIONS lines for the server to send.
 *
 * Invariant: everybody hears every line once. Lines of different clients may come in any order, so
 * what is checked is each line's author and length, and the number of lines when the slice ends.
 */

#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, ROOM = 65536, NUMBER_SIZE = 5 };

struct client {
    int fd;
    char *line;
    uint64_t said_ns;
    uint64_t heard;  /* lines, its own and others' */
    size_t leftover; /* bytes of a line that came in part */
    char *part;
};

struct chat {
    const struct target *target;
    int epoll;
    size_t count, size; /* `count` grows while the clients join */
    uint64_t said;      /* lines, by anybody */
    uint64_t in_flight; /* lines that somebody is still to hear, for each who is to hear it */
    uint64_t stop_ns;
    struct client *clients;
    struct slice *slice;
    struct histogram *latency;
};

static char heard_bytes[ROOM];

static void say(struct chat *chat, struct client *client, uint64_t now) {
    if (send(client->fd, client->line, chat->size, MSG_NOSIGNAL) != (ssize_t)chat->size) {
        fail("%s: cannot send a line: %s", chat->target->name, strerror(errno));
    }
    client->said_ns = now;
    chat->said++;
    chat->in_flight += chat->count;
}

static void hear(struct chat *chat, struct client *client, const char *line, uint64_t now) {
    if (line[chat->size - 1] != '\n' || line[NUMBER_SIZE] != ' ') {
        fail("%s: a line was cut wrongly", chat->target->name);
    }
    client->heard++;
    chat->in_flight--;
    if (memcmp(line, client->line, NUMBER_SIZE) != 0) return;
    chat->slice->messages++;
    if (now >= chat->stop_ns) return;
    chat->slice->answered++;
    histogram_add(chat->latency, now - client->said_ns);
    say(chat, client, now);
}

static void hear_all(struct chat *chat, struct client *client, size_t count, uint64_t now) {
    const char *bytes = heard_bytes, *end = heard_bytes + count;
    if (client->leftover > 0) {
        size_t missing = chat->size - client->leftover;
        if (missing > count) missing = count;
        memcpy(client->part + client->leftover, bytes, missing);
        client->leftover += missing;
        bytes += missing;
        if (client->leftover < chat->size) return;
        hear(chat, client, client->part, now);
    }
    for (; (size_t)(end - bytes) >= chat->size; bytes += chat->size) hear(chat, client, bytes, now);
    client->leftover = (size_t)(end - bytes);
    memcpy(client->part, bytes, client->leftover);
}

static uint64_t serve_event(struct chat *chat, struct client *client) {
    ssize_t count;
    uint64_t now;
    do {
        count = recv(client->fd, heard_bytes, ROOM, 0);
        now = now_ns();
        if (count < 0 && errno == EAGAIN) break;
        if (count < 0) fail("%s: recv: %s", chat->target->name, strerror(errno));
        if (count == 0) fail("%s: closed a connection that was in use", chat->target->name);
        hear_all(chat, client, (size_t)count, now);
    } while (count == ROOM);
    return now;
}

static void check_heard(const struct chat *chat) {
    for (size_t i = 0; i < chat->count; i++) {
        if (chat->clients[i].heard == chat->said) continue;
        fail("%s: client %zu heard %llu lines of %llu", chat->target->name, i,
             (unsigned long long)chat->clients[i].heard, (unsigned long long)chat->said);
    }
}

/* Serves events until everybody has heard everything. Returns when that was. */
static uint64_t settle(struct chat *chat, uint64_t give_up) {
    struct epoll_event events[EVENTS];
    uint64_t now = now_ns();
    while (chat->in_flight > 0) {
        int count = epoll_wait(chat->epoll, events, EVENTS, PATIENCE_MS);
        if (count < 0 && errno != EINTR) fail("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++) now = serve_event(chat, events[i].data.ptr);
        if (count <= 0) now = now_ns();
        if (chat->in_flight > 0 && now > give_up) {
            fail("%s: %llu lines were not heard within %d ms", chat->target->name,
                 (unsigned long long)chat->in_flight, PATIENCE_MS);
        }
    }
    check_heard(chat);
    return now;
}

static void chat_run(void *state, uint64_t window_ns, struct slice *slice,
                     struct histogram *latency) {
    struct chat *chat = state;
    uint64_t start = now_ns();
    chat->slice = slice;
    chat->latency = latency;
    chat->stop_ns = start + window_ns;
    for (size_t i = 0; i < chat->count; i++) say(chat, &chat->clients[i], start);
    uint64_t end = settle(chat, chat->stop_ns + (uint64_t)PATIENCE_MS * 1000000);
    slice->window_ns = window_ns;
    slice->elapsed_ns = end - start;
}

/* A client has joined when it has heard its own first line; what was said before it does not hear.
 * The slice is one that nobody looks at, and its window is over. */
static void join(struct chat *chat, size_t index, uint64_t deadline_ns) {
    struct client *client = &chat->clients[index];
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = client};
    client->fd = net_connect(chat->target, deadline_ns);
    client->part = allocate(chat->size, 1);
    client->line = allocate(chat->size + 1, 1);
    snprintf(client->line, chat->size + 1, "%0*zu %*s\n", NUMBER_SIZE, index,
             (int)chat->size - NUMBER_SIZE - 2, "says something");
    if (epoll_ctl(chat->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0) {
        fail("epoll_ctl: %s", strerror(errno));
    }
    client->heard = chat->said;
    chat->count++;
    say(chat, client, now_ns());
    settle(chat, deadline_ns);
}

static void *chat_open(const struct target *target, const struct options *options) {
    static struct slice ignored;
    struct chat *chat = allocate(1, sizeof *chat);
    size_t clients = (size_t)options->connections;
    uint64_t deadline_ns = now_ns() + (uint64_t)PATIENCE_MS * 1000000;
    if (options->size < 32 || options->size > ROOM) {
        fail("chat: --size must be from 32 to %d", ROOM);
    }
    chat->target = target;
    chat->size = (size_t)options->size;
    chat->clients = allocate(clients, sizeof *chat->clients);
    chat->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (chat->epoll < 0) fail("epoll_create1: %s", strerror(errno));
    chat->slice = &ignored;
    for (size_t i = 0; i < clients; i++) join(chat, i, deadline_ns);
    return chat;
}

static void chat_close(void *state) {
    struct chat *chat = state;
    for (size_t i = 0; i < chat->count; i++) {
        close(chat->clients[i].fd);
        free(chat->clients[i].line);
        free(chat->clients[i].part);
    }
    close(chat->epoll);
    free(chat->clients);
    free(chat);
}

const struct load_case load_case_chat = {
    .name = "chat",
    .summary = "what one client says comes back to all",
    .open = chat_open,
    .run = chat_run,
    .close = chat_close,
};
