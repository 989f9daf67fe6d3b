/* SPDX-License-Identifier: MIT
 *
 * The options of a new descriptor: our defaults, and what the script set before there was one. The latter
 * are kept until the socket is closed, and set on every descriptor that connecting tries.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/driver.h"
#include "net/options.h"

struct saved_option {
    struct saved_option *next;
    int level, number;
    socklen_t size;
    char value[SAVED_VALUE_SIZE];
};

void options_start(const struct driver *driver, int fd, int family, int type) {
    int yes = 1;
    if (family == AF_INET6) {
        driver->setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    }
    if (family != AF_UNIX && type == SOCK_STREAM) {
        driver->setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    }
}

void options_save(lua_State *L, struct socket *s, int level, int number, const void *value,
                  socklen_t size) {
    struct saved_option **link = &s->options;
    while (*link != NULL && ((*link)->level != level || (*link)->number != number)) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        struct saved_option *saved = memory_try(NULL, sizeof(*saved));
        if (saved == NULL) {
            memory_no_memory(L);
            return;
        }
        *saved = (struct saved_option){.level = level, .number = number};
        *link = saved;
    }
    (*link)->size = size;
    memcpy((*link)->value, value, size);
}

int options_replay(struct socket *s, int fd) {
    for (struct saved_option *o = s->closed ? NULL : s->options; o != NULL; o = o->next) {
        int err = s->watch.driver->setsockopt(fd, o->level, o->number, o->value, o->size);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

void options_forget(struct socket *s) {
    while (s->options != NULL) {
        struct saved_option *o = s->options;
        s->options = o->next;
        memory_free(o);
    }
}
