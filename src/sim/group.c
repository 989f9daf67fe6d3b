/* SPDX-License-Identifier: MIT
 *
 * Broadcast and multicast addresses, and which sockets have joined a multicast group. There is one LAN,
 * so a machine has one interface. As under Linux (IP_MULTICAST_ALL), once one socket has joined a
 * group, every socket of its machine that is bound to the port receives the group's datagrams.
 */
#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "sim/machine.h"
#include "sim/socket.h"

struct membership {
    struct membership *next;
    unsigned char group[16];
};

bool sim_is_multicast(const struct sim_address *a) {
    return sim_is_four(a) ? a->ip[12] >= 224 && a->ip[12] < 240 : a->ip[0] == 0xff;
}

bool sim_is_broadcast(const struct sim_address *a) {
    static const unsigned char own[4] = {127, 255, 255, 255}; /* the loopback interface's */
    static const unsigned char all[4] = {255, 255, 255, 255}, lan[4] = {10, 0, 255, 255};
    return sim_is_four(a) && (memcmp(a->ip + 12, all, 4) == 0 || memcmp(a->ip + 12, lan, 4) == 0 ||
                              memcmp(a->ip + 12, own, 4) == 0);
}

static struct membership **find(struct sim_socket *s, const unsigned char group[16]) {
    struct membership **at = &s->memberships;
    while (*at != NULL && memcmp((*at)->group, group, 16) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool group_heard(struct machine *m, const struct sim_address *group) {
    for (struct sim_socket *s = m->sockets; s != NULL; s = s->next) {
        if (*find(s, group->ip) != NULL) {
            return true;
        }
    }
    return false;
}

int group_join(struct sim_socket *s, const struct sim_address *group) {
    struct membership **at = find(s, group->ip);
    if (!sim_is_multicast(group) || *at != NULL) {
        return *at != NULL ? -EADDRINUSE : -EINVAL;
    }
    *at = memory_alloc(sizeof(**at));
    (*at)->next = NULL;
    memcpy((*at)->group, group->ip, sizeof((*at)->group));
    return 0;
}

static void leave(struct membership **at) {
    struct membership *m = *at;
    *at = m->next;
    memory_free(m);
}

int group_leave(struct sim_socket *s, const struct sim_address *group) {
    struct membership **at = find(s, group->ip);
    if (*at == NULL) {
        return -EADDRNOTAVAIL;
    }
    leave(at);
    return 0;
}

void groups_leave(struct sim_socket *s) {
    while (s->memberships != NULL) {
        leave(&s->memberships);
    }
}
