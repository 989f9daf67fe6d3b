/* SPDX-License-Identifier: MIT
 *
 * Socket options of the simulated kernel. Most are remembered and have no effect; buffers, address
 * reuse, broadcast, linger and multicast do what Linux does. An option nobody has set reads as
 * Linux's default.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "runtime.h"
#include "sim.h"

struct sim_option {
    struct sim_option *next;
    int level, name;
    socklen_t size;
    char value[32];
};

static struct sim_option *find(const struct sim_socket *s, int level, int name) {
    struct sim_option *o = s->options;
    while (o != NULL && (o->level != level || o->name != name)) {
        o = o->next;
    }
    return o;
}

static int remember(struct sim_socket *s, int level, int name, const void *value, socklen_t size) {
    struct sim_option *o = find(s, level, name);
    if (size > sizeof(o->value)) {
        return -EINVAL;
    }
    if (o == NULL) {
        o = runtime_alloc(sizeof(*o));
        *o = (struct sim_option){.next = s->options, .level = level, .name = name};
        s->options = o;
    }
    o->size = size;
    memcpy(o->value, value, size);
    return 0;
}

int sim_option_int(const struct sim_socket *s, int level, int name, int otherwise) {
    const struct sim_option *o = find(s, level, name);
    int value = otherwise;
    if (o != NULL) {
        memcpy(&value, o->value, sizeof(value));
    }
    return value;
}

void sim_options_inherit(struct sim_socket *child, const struct sim_socket *parent) {
    for (const struct sim_option *o = parent->options; o != NULL; o = o->next) {
        remember(child, o->level, o->name, o->value, o->size);
    }
}

void sim_options_free(struct sim_socket *s) {
    while (s->options != NULL) {
        struct sim_option *o = s->options;
        s->options = o->next;
        runtime_free(o);
    }
}

bool sim_lingers_not(const struct sim_socket *s) {
    const struct sim_option *o = find(s, SOL_SOCKET, SO_LINGER);
    struct linger linger = {0, 0};
    if (o != NULL) {
        memcpy(&linger, o->value, sizeof(linger));
    }
    return linger.l_onoff && linger.l_linger == 0;
}

/* ---- set ---- */

/* Linux doubles what it is asked for, and has a least size. */
static int set_buffer(struct sim_socket *s, int level, int name, const void *value) {
    int size;
    memcpy(&size, value, sizeof(size));
    size = size < 2304 / 2 ? 2304 : size > 1 << 24 ? 1 << 25 : 2 * size;
    if (name == SO_RCVBUF) {
        s->receive_buffer = (size_t)size;
        if (s->in != NULL) {
            s->in->window = s->receive_buffer;
        }
    } else {
        s->send_buffer = (size_t)size;
    }
    return remember(s, level, name, &size, sizeof(size));
}

static int set_membership4(struct sim_socket *s, const void *value, bool joins) {
    unsigned char group[16] = {[10] = 0xff, [11] = 0xff};
    memcpy(group + 12, &((const struct ip_mreq *)value)->imr_multiaddr, 4);
    return s->family == AF_INET ? datagram_member(s, group, joins) : -ENOPROTOOPT;
}

static int set_membership6(struct sim_socket *s, const void *value, bool joins) {
    unsigned char group[16];
    memcpy(group, &((const struct ipv6_mreq *)value)->ipv6mr_multiaddr, 16);
    return s->family == AF_INET6 ? datagram_member(s, group, joins) : -ENOPROTOOPT;
}

int sim_option_set(struct sim_socket *s, int level, int name, const void *value, socklen_t size) {
    if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) {
        return set_buffer(s, level, name, value);
    }
    if (level == IPPROTO_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP)) {
        return set_membership4(s, value, name == IP_ADD_MEMBERSHIP);
    }
    if (level == IPPROTO_IPV6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP)) {
        return set_membership6(s, value, name == IPV6_JOIN_GROUP);
    }
    if (level == IPPROTO_IPV6 && s->family != AF_INET6) {
        return -ENOPROTOOPT;
    }
    return remember(s, level, name, value, size);
}

/* ---- get ---- */

static int otherwise(const struct sim_socket *s, int level, int name) {
    if (level == SOL_SOCKET) {
        switch (name) {
        case SO_RCVBUF: return (int)s->receive_buffer;
        case SO_SNDBUF: return (int)s->send_buffer;
        case SO_TYPE: return s->type;
        case SO_DOMAIN: return s->family;
        case SO_ACCEPTCONN: return s->state == STREAM_LISTENING;
        default: return 0;
        }
    }
    if (level == IPPROTO_TCP) {
        return name == TCP_KEEPIDLE ? 7200 : name == TCP_KEEPINTVL ? 75 : name == TCP_KEEPCNT ? 9 : 0;
    }
    if (level == IPPROTO_IP) {
        return name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP;
    }
    bool one = name == IPV6_MULTICAST_HOPS || name == IPV6_MULTICAST_LOOP;
    return name == IPV6_UNICAST_HOPS ? 64 : one;
}

static int give(void *to, socklen_t *size, const void *value, socklen_t have) {
    *size = have < *size ? have : *size;
    memcpy(to, value, *size);
    return 0;
}

int sim_option_get(struct sim_socket *s, int level, int name, void *value, socklen_t *size) {
    const struct sim_option *o = find(s, level, name);
    int number;
    if (level == SOL_SOCKET && name == SO_ERROR) {
        number = s->error;
        s->error = 0;
        return give(value, size, &number, sizeof(number));
    }
    if (level == IPPROTO_IPV6 && s->family != AF_INET6) {
        return -ENOPROTOOPT;
    }
    if (o != NULL) {
        return give(value, size, o->value, o->size);
    }
    char zeros[32] = {0};
    number = otherwise(s, level, name);
    if (number != 0 || *size <= sizeof(number)) {
        return give(value, size, &number, sizeof(number));
    }
    return give(value, size, zeros, sizeof(zeros));
}
