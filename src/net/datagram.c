/* SPDX-License-Identifier: MIT
 *
 * Datagrams in batches, below UDP and unix datagram sockets alike.
 *
 * Receiving: one recvmmsg fills a shared area, which is lent to the socket until another one
 * receives; only then are datagrams left in it copied to memory of its own. Sending: one shared
 * batch of BATCH datagrams, sent by one sendmmsg when it is full, when all ready tasks have run, or
 * when another socket sends. Unix datagrams are not batched: there a full receiver is an error to
 * be told at once.
 *
 * An error that is met when the batch leaves is kept in out.error and told once: by the next call
 * that sends, which sends first, since the error may be that of another peer; on a connected socket,
 * which has one peer, by the next call of any kind. Two rules make that rare: what a connected socket
 * sends first after a flush, and whatever goes to an address that the kernel has refused before, goes
 * at once, so that the call itself is told.
 *
 * Invariants: datagrams leave and arrive in the order of the calls; none is dropped here. A peer that
 * cannot be reached costs others nothing.
 */
#include "net/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/socket.h"

#define BATCH 32
#define LARGEST 65536         /* bytes for one received datagram */
#define SEND_ROOM (64 * 1024) /* bytes in one batch to send */

/* ---- receiving ---- */

/* A socket's own copy of what was left in the shared area, items[next, count). */
struct datagrams {
    unsigned next, count;
    struct datagram items[BATCH];
    char bytes[];
};

static struct {
    struct socket *lent; /* whose datagrams lie in `area` */
    unsigned next, count;
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_storage from[BATCH];
    char *area; /* BATCH times LARGEST; pages are used only as far as they fill */
} inbox;

static bool is_connected(const struct socket *s) {
    return CLASS(s->class) & (CLASS(UDP_CONNECTED) | CLASS(UNIX_DGRAM_CONNECTED));
}

bool datagrams_waiting(const struct socket *s) {
    return socket_type(s) == SOCK_DGRAM &&
           (s->batch != NULL || (inbox.lent == s && inbox.next < inbox.count) ||
            (s->out.error != 0 && is_connected(s)));
}

int datagrams_take_error(struct socket *s) {
    int err = -s->out.error;
    s->out.error = 0;
    return err;
}

static void take_from_area(unsigned i, struct datagram *d) {
    d->data = inbox.area + (size_t)i * LARGEST;
    d->size = inbox.headers[i].msg_len;
    d->from.length = inbox.headers[i].msg_hdr.msg_namelen;
    memcpy(&d->from.storage, &inbox.from[i], d->from.length);
}

/* Takes the area back from the socket it is lent to: what that has not taken is copied. False: there is
 * no memory. */
static bool settle(void) {
    struct socket *s = inbox.lent;
    if (s == NULL || inbox.next == inbox.count) {
        inbox.lent = NULL;
        return true;
    }
    size_t bytes = 0;
    for (unsigned i = inbox.next; i < inbox.count; i++) {
        bytes += inbox.headers[i].msg_len;
    }
    struct datagrams *own = memory_try(NULL, sizeof(*own) + bytes);
    if (own == NULL) {
        return false;
    }
    inbox.lent = NULL;
    char *at = own->bytes;
    own->next = own->count = 0;
    for (unsigned i = inbox.next; i < inbox.count; i++) {
        struct datagram *d = &own->items[own->count++];
        take_from_area(i, d);
        d->data = memcpy(at, d->data, d->size);
        at += d->size;
    }
    s->batch = own;
    return true;
}

void datagrams_release(struct socket *s) {
    if (inbox.lent == s) {
        inbox.lent = NULL;
    }
    memory_free(s->batch);
    s->batch = NULL;
}

static int fill(struct socket *s) {
    if (s->watch.drained) {
        return -EAGAIN;
    }
    if (inbox.area == NULL) {
        inbox.area = memory_try(NULL, (size_t)BATCH * LARGEST);
    }
    if (inbox.area == NULL || !settle()) {
        return NO_MEMORY;
    }
    for (unsigned i = 0; i < BATCH; i++) {
        inbox.parts[i] = (struct iovec){inbox.area + (size_t)i * LARGEST, LARGEST};
        inbox.headers[i].msg_hdr = (struct msghdr){.msg_name = &inbox.from[i],
                                                   .msg_namelen = sizeof(inbox.from[i]),
                                                   .msg_iov = &inbox.parts[i],
                                                   .msg_iovlen = 1};
    }
    int n = s->watch.driver->recvmmsg(s->watch.fd, inbox.headers, BATCH);
    task_spent(1);
    if (n < 0) {
        s->watch.drained = n == -EAGAIN;
        return n;
    }
    s->watch.drained = n < BATCH;
    inbox.lent = s;
    inbox.next = 0;
    inbox.count = (unsigned)n;
    return 0;
}

/* A socket's own batch, all taken: freed by the next take, when the last datagram has been copied. */
static struct datagrams *spent_batch;

int datagrams_take(struct socket *s, struct datagram *d) {
    if (spent_batch != NULL) {
        memory_free(spent_batch);
        spent_batch = NULL;
    }
    if (s->out.error != 0 && is_connected(s)) {
        return datagrams_take_error(s);
    }
    if (s->batch != NULL) {
        struct datagrams *own = s->batch;
        *d = own->items[own->next++];
        if (own->next == own->count) {
            spent_batch = own;
            s->batch = NULL;
        }
    } else {
        if (inbox.lent != s || inbox.next == inbox.count) {
            int err = fill(s);
            if (err < 0) {
                return err;
            }
        }
        take_from_area(inbox.next++, d);
    }
    socket_count_received(s, d->size);
    return 0;
}

/* ---- sending ---- */

static struct {
    struct socket *socket; /* whose datagrams these are */
    unsigned next, count;
    size_t used;
    struct mmsghdr headers[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_storage to[BATCH];
    char bytes[SEND_ROOM];
} outbox;

/* ---- addresses that the kernel has refused ---- */

#define MOST_REFUSED 16 /* a new one replaces the oldest */

static struct {
    unsigned count, next;
    struct {
        const struct socket *socket;
        struct address to;
    } list[MOST_REFUSED];
} refused;

/* Its index in the list, or `count`. */
static unsigned find_refused(const struct socket *s, const struct address *to) {
    unsigned i = 0;
    while (i < refused.count &&
           (refused.list[i].socket != s || refused.list[i].to.length != to->length ||
            memcmp(&refused.list[i].to.storage, &to->storage, to->length) != 0)) {
        i++;
    }
    return i;
}

static void remember_refused(const struct socket *s, const struct msghdr *message) {
    unsigned i = refused.count < MOST_REFUSED ? refused.count++ : refused.next++ % MOST_REFUSED;
    refused.list[i].socket = s;
    refused.list[i].to.length = message->msg_namelen;
    memcpy(&refused.list[i].to.storage, message->msg_name, message->msg_namelen);
}

static void forget_refused(unsigned i) {
    if (i == refused.count) {
        return;
    }
    refused.list[i] = refused.list[--refused.count];
    refused.next = 0;
}

/* ---- the batch ---- */

static void keep_error(struct socket *s, int err) {
    s->out.error = (short)-err;
    if (is_connected(s)) { /* a receive that waits must tell it, and no event wakes that */
        waitq_wake_first(&s->watch.readers, WAKE_READY);
    }
}

/* The next datagram of the batch was not sent. The error may be its own, or the kernel may have reported
 * that an earlier one was refused: so it is tried once more before it is given up. */
static void not_sent(struct socket *s, int err, bool *again) {
    const struct msghdr *message = &outbox.headers[outbox.next].msg_hdr;
    keep_error(s, err);
    *again = !*again;
    if (*again) {
        return;
    }
    if (message->msg_name != NULL) {
        remember_refused(s, message);
    }
    outbox.next++;
}

static __attribute__((noinline)) int flush_batch(struct socket *s) {
    bool again = false;
    while (outbox.next < outbox.count && s->watch.fd >= 0) {
        int n = s->watch.driver->sendmmsg(s->watch.fd, outbox.headers + outbox.next,
                                          outbox.count - outbox.next);
        if (n == -EAGAIN) {
            int err = watch_arm(&s->watch, POLLOUT);
            if (err < 0) {
                keep_error(s, err); /* what is left is tried again with every flush */
            }
            return n;
        }
        if (n < 0) {
            not_sent(s, n, &again);
            continue;
        }
        again = false;
        outbox.next += (unsigned)n;
    }
    outbox.socket = NULL;
    outbox.next = outbox.count = 0;
    outbox.used = 0;
    return 0;
}

int datagrams_flush(void) {
    return outbox.socket != NULL ? flush_batch(outbox.socket) : 0;
}

static int send_now(struct socket *s, const char *data, size_t size, const struct address *to) {
    struct iovec part = {(void *)(uintptr_t)data, size};
    struct msghdr message = {.msg_name = to ? (void *)(uintptr_t)&to->storage : NULL,
                             .msg_namelen = to ? to->length : 0,
                             .msg_iov = &part,
                             .msg_iovlen = 1};
    ssize_t n = s->watch.driver->sendmsg(s->watch.fd, &message);
    task_spent(1);
    if (n < 0) {
        return (int)n;
    }
    socket_count_sent(s, size);
    return 0;
}

static size_t largest_payload(const struct socket *s) {
    return s->family == AF_INET6 ? 65535 - 8 : 65535 - 8 - 20;
}

/* May it be queued? Not to an address that the kernel may refuse as such: the call itself is then to tell
 * the error. */
static bool may_queue_to(const struct sockaddr *to) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)to;
    if (to->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)to;
        return in6->sin6_port != 0 && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    }
    return in->sin_port != 0 && in->sin_addr.s_addr != htonl(INADDR_BROADCAST);
}

static void enqueue(struct socket *s, const char *data, size_t size, const struct address *to) {
    unsigned i = outbox.count++;
    outbox.socket = s;
    memcpy(outbox.bytes + outbox.used, data, size);
    if (to != NULL) {
        memcpy(&outbox.to[i], &to->storage, to->length);
    }
    outbox.parts[i] = (struct iovec){outbox.bytes + outbox.used, size};
    outbox.headers[i].msg_hdr = (struct msghdr){.msg_name = to ? &outbox.to[i] : NULL,
                                                .msg_namelen = to ? to->length : 0,
                                                .msg_iov = &outbox.parts[i],
                                                .msg_iovlen = 1};
    outbox.used += size;
    socket_count_sent(s, size);
}

/* Sends it at once, after what has been queued. */
static int send_behind(struct socket *s, const char *data, size_t size, const struct address *to) {
    return datagrams_flush() == -EAGAIN && outbox.socket == s ? -EAGAIN
                                                              : send_now(s, data, size, to);
}

/* The connected socket that was the last to send a datagram at once, since all output was flushed. */
static const struct socket *direct;

void datagrams_end_batch(void) {
    datagrams_flush();
    direct = NULL;
}

int datagram_queue(struct socket *s, const char *data, size_t size, const struct address *to) {
    if (s->family == AF_UNIX || s->out.immediate) {
        return send_now(s, data, size, to);
    }
    if (to != NULL && !may_queue_to((const struct sockaddr *)&to->storage)) {
        return send_behind(s, data, size, to);
    }
    if (to == NULL && direct != s) {
        direct = s;
        return send_behind(s, data, size, to);
    }
    if (size > largest_payload(s)) {
        return -EMSGSIZE;
    }
    bool full = outbox.count == BATCH || outbox.used + size > SEND_ROOM;
    if (outbox.socket != NULL && (outbox.socket != s || full || outbox.next > 0)) {
        task_spent(1);
        if (datagrams_flush() == -EAGAIN) {
            return outbox.socket == s ? -EAGAIN : send_now(s, data, size, to);
        }
    }
    enqueue(s, data, size, to);
    return 0;
}

static __attribute__((noinline)) int send_suspect(struct socket *s, const char *data, size_t size,
                                                  const struct address *to) {
    if (find_refused(s, to) == refused.count) {
        return datagram_queue(s, data, size, to);
    }
    int err = send_behind(s, data, size, to);
    if (err == 0) {
        forget_refused(find_refused(s, to));
    }
    return err;
}

int datagram_send(struct socket *s, const char *data, size_t size, const struct address *to) {
    return to != NULL && refused.count > 0 ? send_suspect(s, data, size, to)
                                           : datagram_queue(s, data, size, to);
}

void datagrams_forget(struct socket *s) {
    if (outbox.socket == s) {
        datagrams_flush();
        outbox.socket = NULL;
        outbox.next = outbox.count = 0;
        outbox.used = 0;
    }
    for (unsigned i = refused.count; i-- > 0;) {
        if (refused.list[i].socket == s) {
            forget_refused(i);
        }
    }
    direct = direct == s ? NULL : direct;
}

void datagrams_close(void) {
    memory_free(inbox.area);
    inbox.area = NULL;
    memory_free(spent_batch);
    spent_batch = NULL;
}
