/* SPDX-License-Identifier: MIT
 *
 * Output bytes, held back ("corked") until the end of the tick: send appends to the socket's block and
 * puts the socket on the dirty list, which is flushed when all ready tasks have run, when the tick has
 * lasted too long (from 1 ms on), or by a call that could show the delay. So sixteen pipelined replies
 * cost one system call.
 *
 * Many sockets have left the cache when the tick ends. So when a task that has just written to a socket
 * waits for input from it, which most often means that it has said all, the socket is one of a group of
 * PARTED, flushed together: echo of 1,000 connections .99 -> 1.02 of C, of 3,000 1.035 -> 1.05, of 64 and
 * chat as before. Flushing each at once instead would give up the rest of corking: 20 to 35 % slower.
 *
 * Invariants: a socket with a block is on the dirty list or is `blocked` with POLLOUT armed; bytes in a
 * block are never reported as unsent; a block never holds more than OUTPUT_HIGH_WATER. Blocks come from
 * a free list, so that in a busy loop it is always the one in cache. Without memory for a block nothing
 * is held back: what the kernel does not take stays with its sender.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/state.h"
#include "kernel/driver.h"
#include "net/datagram.h"
#include "net/socket.h"

#define FREE_BLOCKS 64 /* kept for reuse */
#define PARTED 32

/* How long a tick may hold output back: FLUSH_SHARE times as long as the last such flush took, within
 * these bounds. */
#define LATE_NS (1000ull * 1000)
#define LATEST_NS (20 * LATE_NS)
#define FLUSH_SHARE 4

/* Holds bytes only; how many is in the socket, whose memory a send touches anyway. */
union output_block {
    union output_block *next; /* in the free list */
    char data[OUTPUT_HIGH_WATER];
};

/* Gives the socket a block, unless it has one. False: there is no memory. */
static inline bool ensure_block(struct socket *s) {
    union output_block *block = sockets.free_blocks;
    if (s->out.block != NULL) {
        return true;
    }
    if (block != NULL) {
        sockets.free_blocks = block->next;
        sockets.free_count--;
    } else {
        block = memory_try(NULL, sizeof(*block));
    }
    s->out.block = block;
    return block != NULL;
}

static void give_block(struct socket *s) {
    union output_block *block = s->out.block;
    s->out.block = NULL;
    s->out.size = 0;
    if (block == NULL) {
        return;
    }
    if (sockets.free_count >= FREE_BLOCKS) {
        memory_free(block);
        return;
    }
    block->next = sockets.free_blocks;
    sockets.free_blocks = block;
    sockets.free_count++;
}

void outputs_free_blocks(void) {
    while (sockets.free_blocks != NULL) {
        union output_block *block = sockets.free_blocks;
        sockets.free_blocks = block->next;
        memory_free(block);
    }
    sockets.free_count = 0;
    memory_free(sockets.dirty);
    sockets.dirty = NULL;
    sockets.dirty_count = sockets.dirty_capacity = 0;
}

void output_discard(struct socket *s) {
    give_block(s);
    s->out.blocked = false;
}

static bool grow_dirty(void) {
    struct sockets *all = &sockets;
    size_t capacity = all->dirty_capacity ? 2 * all->dirty_capacity : 64;
    struct socket **dirty = memory_try(all->dirty, capacity * sizeof(struct socket *));
    if (dirty == NULL) {
        return false;
    }
    all->dirty = dirty;
    all->dirty_capacity = capacity;
    return true;
}

static inline bool mark_dirty(struct socket *s) {
    if (s->out.corked) {
        return true;
    }
    if (sockets.dirty_count == sockets.dirty_capacity && !grow_dirty()) {
        return false;
    }
    s->out.corked = true;
    sockets.dirty[sockets.dirty_count++] = s;
    return true;
}

/* Counts `size` more bytes, which are known to fit, and returns where they must be copied to. Prefetches
 * the memory behind them: with many sockets in turn it is out of the cache by the next send. */
static inline char *extend(struct socket *s, size_t size) {
    char *end = s->out.block->data + s->out.size;
    __builtin_prefetch(end + 2 * size, 1);
    s->out.size += (unsigned)size;
    socket_count_sent(s, size);
    return end;
}

/* Copies as much as fits into the block; returns how much. */
static size_t add_some(struct socket *s, const char *data, size_t size) {
    size_t space = ensure_block(s) ? OUTPUT_HIGH_WATER - s->out.size : 0;
    if (space == 0) {
        return 0;
    }
    size = size < space ? size : space;
    memcpy(extend(s, size), data, size);
    return size;
}

/* The next tick may hold output back for so long. With many sockets a flush takes long itself: flushing
 * less often then makes each socket's share cheaper. */
static uint64_t limit_after(uint64_t flush_ns) {
    uint64_t limit = FLUSH_SHARE * flush_ns;
    return limit < LATE_NS ? LATE_NS : limit > LATEST_NS ? LATEST_NS : limit;
}

/* Reads the clock at every eighth cork only: a reading costs a third of a cork. */
static void flush_if_late(void) {
    static unsigned corks;
    static uint64_t limit = LATE_NS;
    if (++corks % 8 != 0 || rt.world != NULL) {
        return; /* in a simulation no time passes within a tick */
    }
    uint64_t now = clock_now();
    if (now - rt.tick > limit) {
        outputs_flush();
        rt.tick = clock_now();
        limit = limit_after(rt.tick - now);
    }
}

/* Makes the socket ready to hold back `size` more bytes. False: they must not be held back, do not fit,
 * or there is no memory. */
static inline bool prepare_cork(struct socket *s, size_t size) {
    size_t held = s->out.size;
    if (s->out.blocked) {
        return held + size <= OUTPUT_HIGH_WATER;
    }
    if (s->out.immediate || !s->connected || s->eof || held + size >= OUTPUT_DIRECT) {
        return false;
    }
    return ensure_block(s) && mark_dirty(s);
}

bool output_cork(struct socket *s, const char *data, size_t size) {
    if (!prepare_cork(s, size)) {
        return false;
    }
    memcpy(extend(s, size), data, size);
    flush_if_late();
    return true;
}

bool output_cork_pieces(struct socket *s, const struct iovec *pieces, size_t count, size_t size) {
    if (!prepare_cork(s, size)) {
        return false;
    }
    char *end = extend(s, size);
    for (size_t i = 0; i < count; i++) {
        memcpy(end, pieces[i].iov_base, pieces[i].iov_len);
        end += pieces[i].iov_len;
    }
    flush_if_late();
    return true;
}

static void block_on_kernel(struct socket *s) {
    s->out.blocked = true;
    int err = watch_arm(&s->watch, POLLOUT);
    if (err < 0) {
        s->out.error = (short)-err;
        output_discard(s);
    }
}

/* One sendmsg of block and data together; removes from the block, and adds to `sent`, what the kernel has
 * taken. 0: all; -EAGAIN or another -errno. */
static int write_once(struct socket *s, const char *data, size_t size, size_t *sent) {
    size_t held = s->out.size;
    struct iovec parts[2];
    size_t count = 0;
    if (held > 0) {
        parts[count++] = (struct iovec){s->out.block->data, held};
    }
    if (size > 0) {
        parts[count++] = (struct iovec){(void *)(uintptr_t)data, size};
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t n = s->watch.driver->sendmsg(s->watch.fd, &message);
    task_spent(1);
    if (n < 0) {
        return n == -ENOTCONN ? -EPIPE : (int)n;
    }
    size_t done = (size_t)n;
    s->connected = s->out.wrote = true;
    if (done < held) {
        s->out.size -= (unsigned)done;
        memmove(s->out.block->data, s->out.block->data + done, s->out.size);
        return -EAGAIN;
    }
    give_block(s);
    *sent += done - held;
    socket_count_sent(s, done - held);
    return done - held < size ? -EAGAIN : 0;
}

static void finish_shutdown(struct socket *s) {
    if (s->out.shutdown && s->out.size == 0) {
        s->out.shutdown = false;
        s->watch.driver->shutdown(s->watch.fd, SHUT_WR);
    }
}

int output_write(struct socket *s, const char *data, size_t size, size_t *sent) {
    if (s->out.error != 0) {
        return -s->out.error;
    }
    int err = write_once(s, data, size, sent);
    if (err == 0) {
        s->out.blocked = false;
        finish_shutdown(s);
        return 0;
    }
    if (err != -EAGAIN) {
        s->out.error = (short)-err;
        output_discard(s);
        return err;
    }
    *sent += size > *sent ? add_some(s, data + *sent, size - *sent) : 0;
    s->out.blocked = false;
    if (s->out.size > 0) {
        block_on_kernel(s);
    }
    return s->out.error ? -s->out.error : *sent < size ? -EAGAIN : 0;
}

int output_flush(struct socket *s) {
    size_t sent = 0;
    if (s->out.size == 0) {
        finish_shutdown(s);
        return s->out.error ? -s->out.error : 0;
    }
    int err = output_write(s, NULL, 0, &sent);
    return err != 0 ? err : s->out.size > 0 ? -EAGAIN : 0;
}

int output_through(struct socket *s, const char *data, size_t size, size_t *sent) {
    int err = output_flush(s);
    if (err == 0) {
        err = write_once(s, data, size, sent);
    }
    return err;
}

/* On POLLOUT: flush the block, unless a waiting send() will write it together with its data. */
static bool on_writable(struct watch *watch) {
    struct socket *s = (struct socket *)watch; /* its first member */
    if (s->out.size == 0 || waitq_has_exclusive(&s->watch.writers)) {
        return false;
    }
    int err = output_flush(s);
    if (socket_drain(s) != NULL) {
        drain_flushed(s, err);
    }
    return err == -EAGAIN;
}

void outputs_open(void) {
    watch_hooks.writable = on_writable;
}

/* Flushes the newest of the dirty list until `left` are in it. */
static void flush_newest(size_t left) {
    while (sockets.dirty_count > left) {
        struct socket *s = sockets.dirty[--sockets.dirty_count];
        s->out.corked = false;
        if (!s->out.blocked && !s->closed) {
            output_flush(s);
        }
    }
    sockets.parted = 0;
}

/* The newest `parted` of the list are those that came to be so one after the other. */
void output_part(void) {
    struct sockets *all = &sockets;
    if (rt.world != NULL) {
        return; /* a simulation has no cache, and its packets keep their order */
    }
    all->parted = all->parted_end + 1 == all->dirty_count ? all->parted + 1 : 1;
    all->parted_end = all->dirty_count;
    if (all->parted == PARTED) {
        flush_newest(all->dirty_count - PARTED);
        all->parted_end = all->dirty_count;
    }
}

void outputs_flush(void) {
    flush_newest(0);
    sockets.parted_end = 0;
    datagrams_end_batch();
}
