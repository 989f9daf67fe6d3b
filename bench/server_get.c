/* SPDX-License-Identifier: MIT
 *
 * A store that is asked for keys: "GET key\n" is answered by the value and a newline, in the
 * protocol kv with "VALUE " in front of it; anything else by "?\n". The keys are key00000 to
 * key09999, each with a value of 32 bytes, the key and blanks, in a hash table with open addressing;
 * bench/get.lua and bench/kv.lua hold the same.
 */

#include "server.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 10000, SLOTS = 32768, KEY_SIZE = 8, VALUE_SIZE = 32, PREFIX_SIZE = 6 };

struct entry {
    size_t key_size; /* 0: the slot is free */
    char key[KEY_SIZE];
    char answer[PREFIX_SIZE + VALUE_SIZE + 2]; /* with its newline, and snprintf's zero */
};

static struct entry table[SLOTS];
static size_t skipped = PREFIX_SIZE; /* bytes of an answer that the protocol does without */

/* FNV-1a. */
static struct entry *find(const char *key, size_t size) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)key[i]) * 16777619u;
    struct entry *entry = &table[hash % SLOTS];
    while (entry->key_size > 0) {
        if (entry->key_size == size && memcmp(entry->key, key, size) == 0) break;
        entry = entry + 1 < table + SLOTS ? entry + 1 : table;
    }
    return entry;
}

static void fill(void) {
    for (int i = 0; i < KEYS; i++) {
        char key[VALUE_SIZE];
        snprintf(key, sizeof key, "key%05d", i);
        struct entry *entry = find(key, KEY_SIZE);
        memcpy(entry->key, key, KEY_SIZE);
        entry->key_size = KEY_SIZE;
        snprintf(entry->answer, sizeof entry->answer, "VALUE %-*.*s\n", VALUE_SIZE, VALUE_SIZE,
                 key);
    }
}

typedef void writer(struct connection *connection, const char *bytes, size_t count);

static void answer(struct connection *connection, const char *line, size_t length, writer *write) {
    if (length > 1 && line[length - 2] == '\r') length--;
    if (length > 5 && memcmp(line, "GET ", 4) == 0) {
        const struct entry *entry = find(line + 4, length - 5);
        if (entry->key_size > 0) {
            write(connection, entry->answer + skipped, PREFIX_SIZE + VALUE_SIZE + 1 - skipped);
            return;
        }
    }
    write(connection, "?\n", 2);
}

static void answer_now(struct connection *connection, const char *line, size_t length) {
    answer(connection, line, length, stream_write);
}

static void answer_later(struct connection *connection, const char *line, size_t length) {
    answer(connection, line, length, stream_append);
}

static void get_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, answer_now);
}

static void get_batch_data(struct connection *connection, const char *bytes, size_t count) {
    lines_cut(connection, bytes, count, answer_later);
    stream_flush(connection);
}

static void get_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = get_data};
    (void)backend_port;
    fill();
    stream_serve(port, &protocol);
}

static void get_batch_serve(int port, int backend_port) {
    static const struct stream_protocol protocol = {.on_data = get_batch_data};
    (void)backend_port;
    fill();
    stream_serve(port, &protocol);
}

static void kv_serve(int port, int backend_port) {
    skipped = 0;
    get_serve(port, backend_port);
}

static void kv_batch_serve(int port, int backend_port) {
    skipped = 0;
    get_batch_serve(port, backend_port);
}

const struct protocol protocol_get = {
    .name = "get",
    .summary = "answers each key by itself",
    .serve = get_serve,
};

const struct protocol protocol_get_batch = {
    .name = "get-batch",
    .summary = "answers the keys of a read together",
    .serve = get_batch_serve,
};

const struct protocol protocol_kv = {
    .name = "kv",
    .summary = "the same with VALUE in front",
    .serve = kv_serve,
};

const struct protocol protocol_kv_batch = {
    .name = "kv-batch",
    .summary = "the same, those of a read together",
    .serve = kv_batch_serve,
};
