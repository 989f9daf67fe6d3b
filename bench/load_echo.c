/* SPDX-License-Identifier: MIT
 *
 * What is asked and what must be answered in the cases that load_talk.c drives:
 *
 *     echo   SIZE bytes of noise, which come back
 *     lines  a line of SIZE bytes, which comes back
 *     get    "GET key\n", answered by the value of 32 bytes and a newline (see bench/get.lua)
 *     kv     the same, with "VALUE " in front of the answer (see bench/kv.lua)
 *     sink   SIZE bytes, answered by one byte for each 64 KiB; SIZE is a multiple of that
 *
 * The noise repeats after a prime number of bytes, so no two messages are cut from it alike. Lines
 * and keys are random and repeat after MESSAGES of them, or MOST_BYTES: so late that a server's
 * strings are new ones nearly always, and not found among those it still has.
 */

#include "load.h"

#include <stdio.h>
#include <string.h>

enum { PERIOD = 4093, SINK_UNIT = 65536 };
enum { MESSAGES = 16381, MOST_BYTES = 8 << 20, KEYS = 10000 };

/* Whatever is sent or compared in one call can begin at any byte of the period. */
static struct stream make_stream(uint64_t size, uint64_t period) {
    return (struct stream){
        .bytes = allocate(period + TALK_PIECE, 1), .size = size, .period = period};
}

static void repeat(const struct stream *stream) {
    for (size_t i = 0; i < TALK_PIECE; i++) stream->bytes[stream->period + i] = stream->bytes[i];
}

static uint32_t random_bits(void) {
    static uint32_t random = 2463534242u;
    random ^= random << 13; /* Marsaglia's xorshift */
    random ^= random >> 17;
    random ^= random << 5;
    return random;
}

static struct stream make_noise(uint64_t size) {
    struct stream stream = make_stream(size, PERIOD);
    for (size_t i = 0; i < PERIOD; i++) stream.bytes[i] = (unsigned char)random_bits();
    repeat(&stream);
    return stream;
}

/* Each case has one pair of streams for all servers, made when the first is opened. */
static struct stream question, answer;

static void *echo_open(const struct target *target, const struct options *options) {
    if (question.bytes == NULL) question = make_noise((uint64_t)options->size);
    return talk_open(target, options, &question, &question);
}

static void *lines_open(const struct target *target, const struct options *options) {
    uint64_t size = (uint64_t)options->size;
    if (question.bytes == NULL) {
        uint64_t lines = MOST_BYTES / size < MESSAGES ? MOST_BYTES / size : MESSAGES;
        question = make_stream(size, size * lines);
        for (size_t i = 0; i < question.period; i++) {
            question.bytes[i] =
                (unsigned char)(i % size == size - 1 ? '\n' : ' ' + random_bits() % 95);
        }
        repeat(&question);
    }
    return talk_open(target, options, &question, &question);
}

static void make_keys(const char *prefix) {
    size_t question_size = strlen("GET key00000\n"), answer_size = strlen(prefix) + 32 + 1;
    question = make_stream(question_size, question_size * MESSAGES);
    answer = make_stream(answer_size, answer_size * MESSAGES);
    for (size_t i = 0; i < MESSAGES; i++) {
        char text[64];
        unsigned key = random_bits() % KEYS;
        snprintf(text, sizeof text, "GET key%05u\n", key);
        memcpy(question.bytes + i * question_size, text, question_size);
        snprintf(text, sizeof text, "%skey%05u%24s\n", prefix, key, "");
        memcpy(answer.bytes + i * answer_size, text, answer_size);
    }
    repeat(&question);
    repeat(&answer);
}

static void *get_open(const struct target *target, const struct options *options) {
    if (question.bytes == NULL) make_keys("");
    return talk_open(target, options, &question, &answer);
}

static void *kv_open(const struct target *target, const struct options *options) {
    if (question.bytes == NULL) make_keys("VALUE ");
    return talk_open(target, options, &question, &answer);
}

static void *sink_open(const struct target *target, const struct options *options) {
    if (options->size % SINK_UNIT != 0) fail("sink: --size must be a multiple of %d", SINK_UNIT);
    if (question.bytes == NULL) {
        question = make_noise((uint64_t)options->size);
        answer = make_stream((uint64_t)options->size / SINK_UNIT, TALK_PIECE);
        memset(answer.bytes, '.', answer.period + TALK_PIECE);
    }
    return talk_open(target, options, &question, &answer);
}

const struct load_case load_case_echo = {
    .name = "echo",
    .summary = "messages of SIZE bytes come back",
    .open = echo_open,
    .run = talk_run,
    .close = talk_close,
};

const struct load_case load_case_lines = {
    .name = "lines",
    .summary = "lines of SIZE bytes come back",
    .open = lines_open,
    .run = talk_run,
    .close = talk_close,
};

const struct load_case load_case_get = {
    .name = "get",
    .summary = "GET key, answered by its value",
    .open = get_open,
    .run = talk_run,
    .close = talk_close,
};

const struct load_case load_case_kv = {
    .name = "kv",
    .summary = "GET key, answered by VALUE and its value",
    .open = kv_open,
    .run = talk_run,
    .close = talk_close,
};

const struct load_case load_case_sink = {
    .name = "sink",
    .summary = "SIZE bytes, answered by a byte for each 64 KiB",
    .open = sink_open,
    .run = talk_run,
    .close = talk_close,
};
