/* SPDX-License-Identifier: MIT
 *
 * Socket options of the simulated kernel. Most are stored and have no effect; buffers, address reuse,
 * broadcast, linger and multicast do what they do in Linux. An option that was not set has Linux's
 * default.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/memory.h"
#include "sim/machine.h"
#include "sim/socket.h"
#include "sim/stream.h"

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
        o = memory_alloc(sizeof(*o));
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
        memory_free(o);
    }
}

bool sim_option_resets(const struct sim_socket *s) {
    const struct sim_option *o = find(s, SOL_SOCKET, SO_LINGER);
    struct linger linger = {0, 0};
    if (o != NULL) {
        memcpy(&linger, o->value, sizeof(linger));
    }
    return linger.l_onoff && linger.l_linger == 0;
}

/* ---- set ---- */

/* Does Linux take this value for the option? */
static bool in_range(int level, int name, int value) {
    if (level == IPPROTO_TCP && (name == TCP_KEEPIDLE || name == TCP_KEEPINTVL)) {
        return value >= 1 && value <= 32767;
    }
    if (level == IPPROTO_TCP && name == TCP_KEEPCNT) {
        return value >= 1 && value <= 127;
    }
    if (level == IPPROTO_IP && name == IP_MULTICAST_TTL) {
        return value >= -1 && value <= 255;
    }
    if (level == IPPROTO_IPV6 && (name == IPV6_UNICAST_HOPS || name == IPV6_MULTICAST_HOPS)) {
        return value >= -1 && value <= 255;
    }
    return true;
}

/* -1 sets the default. */
static int set_number(struct sim_socket *s, int level, int name, const void *value) {
    int number;
    memcpy(&number, value, sizeof(number));
    if (!in_range(level, name, number)) {
        return -EINVAL;
    }
    bool hops = level == IPPROTO_IP ? name == IP_MULTICAST_TTL
                                    : level == IPPROTO_IPV6 && name == IPV6_MULTICAST_HOPS;
    if (number == -1 && hops) {
        number = 1;
    } else if (number == -1 && level == IPPROTO_IPV6 && name == IPV6_UNICAST_HOPS) {
        number = 64;
    }
    return remember(s, level, name, &number, sizeof(number));
}

/* Turned off, SO_LINGER keeps its time. */
static int set_linger(struct sim_socket *s, const void *value) {
    const struct sim_option *before = find(s, SOL_SOCKET, SO_LINGER);
    struct linger linger, old = {0, 0};
    memcpy(&linger, value, sizeof(linger));
    if (before != NULL) {
        memcpy(&old, before->value, sizeof(old));
    }
    linger.l_onoff = linger.l_onoff != 0;
    linger.l_linger = linger.l_onoff ? linger.l_linger : old.l_linger;
    return remember(s, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* IP_MULTICAST_IF takes an address of the machine, or the wildcard. */
static int set_interface(struct sim_socket *s, const void *value, socklen_t size) {
    struct sim_address a = {.ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(a.ip + 12, value, 4);
    if (!sim_is_wildcard(&a) && !machine_owns(s->machine, &a)) {
        return -EADDRNOTAVAIL;
    }
    return remember(s, IPPROTO_IP, IP_MULTICAST_IF, value, size);
}

/* As Linux: the size is doubled, and has a minimum and a maximum. */
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

static int change_group(struct sim_socket *s, const struct sim_address *group, bool joins) {
    if (s->family != (sim_is_four(group) ? AF_INET : AF_INET6)) {
        return -ENOPROTOOPT;
    }
    return joins ? group_join(s, group) : group_leave(s, group);
}

static int change_group4(struct sim_socket *s, const void *value, bool joins) {
    struct sim_address group = {.ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(group.ip + 12, &((const struct ip_mreq *)value)->imr_multiaddr, 4);
    return change_group(s, &group, joins);
}

static int change_group6(struct sim_socket *s, const void *value, bool joins) {
    struct sim_address group = {.port = 0};
    memcpy(group.ip, &((const struct ipv6_mreq *)value)->ipv6mr_multiaddr, 16);
    return change_group(s, &group, joins);
}

int sim_option_set(struct sim_socket *s, int level, int name, const void *value, socklen_t size) {
    if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) {
        return set_buffer(s, level, name, value);
    }
    if (level == IPPROTO_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP)) {
        return change_group4(s, value, name == IP_ADD_MEMBERSHIP);
    }
    if (level == IPPROTO_IPV6 && (name == IPV6_JOIN_GROUP || name == IPV6_LEAVE_GROUP)) {
        return change_group6(s, value, name == IPV6_JOIN_GROUP);
    }
    if (level == IPPROTO_IPV6 && s->family != AF_INET6) {
        return -ENOPROTOOPT;
    }
    if (level == SOL_SOCKET && name == SO_LINGER) {
        return set_linger(s, value);
    }
    if (level == IPPROTO_IP && name == IP_MULTICAST_IF) {
        return set_interface(s, value, size);
    }
    return size == sizeof(int) ? set_number(s, level, name, value)
                               : remember(s, level, name, value, size);
}

/* ---- get ---- */

/* The value of an option that was not set. */
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
        return name == TCP_KEEPIDLE    ? 7200
               : name == TCP_KEEPINTVL ? 75
               : name == TCP_KEEPCNT   ? 9
                                       : 0;
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
