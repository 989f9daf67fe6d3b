/* SPDX-License-Identifier: MIT
 *
 * Generic segmentation offload (UDP_SEGMENT): consecutive datagrams of equal size to one peer pass
 * through the kernel's stack once, as one message, and are split at its end. A run of eight costs
 * little more than one datagram. The peer receives the same datagrams.
 *
 * Invariant: the results are those of sendmmsg. If the kernel refuses to split (a path with a small
 * MTU, a device or tunnel that cannot), the run is sent again datagram by datagram, and only an
 * error of that is the caller's. A refusal is not remembered: it costs one system call per run.
 * Only private internet sockets are eligible: a descriptor that foreign code has exchanged might be
 * of a kind that sends the run as one datagram.
 */
#include "kernel/gso.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "kernel/poller.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define MOST 32 /* datagrams considered in one call: the callers' batch */
/* Bytes of payload that fit the least MTU of IPv6 (1280), and so nearly every path of IPv4. */
#define LARGEST 1232
#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(uint16_t))];
};

static size_t size_of(const struct msghdr *m) {
    return m->msg_iov[0].iov_len;
}

static bool same_peer(const struct msghdr *a, const struct msghdr *b) {
    return a->msg_namelen == b->msg_namelen &&
           (a->msg_name == NULL || memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0);
}

/* How many of the messages, from the first on, can be sent as one. */
static unsigned run_length(const struct mmsghdr *messages, unsigned count) {
    const struct msghdr *first = &messages[0].msg_hdr;
    size_t size = size_of(first);
    unsigned n = 1;
    if (size == 0 || size > LARGEST) {
        return 1;
    }
    while (n < count && size_of(&messages[n].msg_hdr) == size &&
           same_peer(first, &messages[n].msg_hdr)) {
        n++;
    }
    return n;
}

/* Makes one message of a run: all parts, and the size at which the kernel splits them. */
static void merge(struct msghdr *m, const struct mmsghdr *run, unsigned length, struct iovec *parts,
                  union control *control) {
    uint16_t size = (uint16_t)size_of(&run[0].msg_hdr);
    *m = run[0].msg_hdr;
    if (length == 1) {
        return;
    }
    for (unsigned i = 0; i < length; i++) {
        parts[i] = run[i].msg_hdr.msg_iov[0];
    }
    m->msg_iov = parts;
    m->msg_iovlen = length;
    m->msg_control = control;
    m->msg_controllen = sizeof(*control);
    *control = (union control){.bytes = {0}}; /* the kernel reads the padding as well */
    control->header = (struct cmsghdr){
        .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof(size))};
    memcpy(CMSG_DATA(&control->header), &size, sizeof(size));
}

static int send_plainly(int fd, struct mmsghdr *messages, unsigned count) {
    int n;
    do {
        n = sendmmsg(fd, messages, count, FLAGS);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static bool refused_to_cut(int err) {
    return err == -EINVAL || err == -EMSGSIZE || err == -EIO;
}

int gso_send(int fd, struct mmsghdr *messages, unsigned count) {
    struct mmsghdr merged[MOST];
    struct iovec parts[MOST];
    union control controls[MOST];
    unsigned lengths[MOST], runs = 0;
    count = count < MOST ? count : MOST;
    if (!poller_owns(fd)) {
        return send_plainly(fd, messages, count);
    }
    for (unsigned i = 0; i < count; i += lengths[runs++]) {
        lengths[runs] = run_length(messages + i, count - i);
        merge(&merged[runs].msg_hdr, messages + i, lengths[runs], &parts[i], &controls[runs]);
    }
    if (runs == count) {
        return send_plainly(fd, messages, count);
    }
    int n = send_plainly(fd, merged, runs);
    if (n < 0) {
        return lengths[0] > 1 && refused_to_cut(n) ? send_plainly(fd, messages, lengths[0]) : n;
    }
    unsigned sent = 0;
    for (int i = 0; i < n; i++) {
        sent += lengths[i];
    }
    return (int)sent;
}
