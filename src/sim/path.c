/* SPDX-License-Identifier: MIT
 *
 * The names of unix sockets. A name in the file system is an entry in its machine's list. As with a
 * kernel, the entry outlives its socket, and a crash: no socket can be bound to the name until
 * os.remove() has removed it. A name that begins with a zero byte is in Linux's abstract namespace and
 * ends with its socket.
 *
 * Invariant: an entry's socket is bound to its path and has not been closed. An entry without a socket
 * keeps the name taken, and connecting to it is refused. Every machine has every directory, and no
 * other files.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/memory.h"
#include "sim/machine.h"
#include "sim/socket.h"

struct path_entry {
    struct path_entry *next;
    struct sim_path path;
    struct sim_socket *socket;
};

_Static_assert(SIM_PATH == sizeof(((struct sockaddr_un *)0)->sun_path), "a path is what fits");

int sim_path_from(const struct sockaddr *address, socklen_t length, struct sim_path *path) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)address;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    *path = (struct sim_path){.size = 0};
    if (address->sa_family != AF_UNIX || length < head || length > sizeof(*un)) {
        return -EINVAL;
    }
    path->size = length - head;
    memcpy(path->bytes, un->sun_path, path->size);
    if (path->bytes[0] != '\0') {
        path->size = strnlen(path->bytes, path->size);
    }
    return 0;
}

void sim_path_to(const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length) {
    struct sockaddr_un *un = (struct sockaddr_un *)address;
    bool terminated = path->size > 0 && path->size < SIM_PATH && path->bytes[0] != '\0';
    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path->bytes, path->size);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path->size + terminated);
}

static bool same(const struct sim_path *a, const struct sim_path *b) {
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static struct path_entry **find(struct machine *m, const struct sim_path *path) {
    struct path_entry **at = &m->paths;
    while (*at != NULL && !same(&(*at)->path, path)) {
        at = &(*at)->next;
    }
    return at;
}

/* Chooses a free abstract name, as the kernel does for bind() with an empty path. */
static void name_it(struct machine *m, struct sim_path *path) {
    do {
        path->size = 1 + (size_t)snprintf(path->bytes + 1, 6, "%05x", m->unnamed++ & 0xfffff);
    } while (*find(m, path) != NULL);
}

int sim_path_bind(struct sim_socket *s, const struct sim_path *path) {
    struct sim_path name = *path;
    if (s->path.size > 0) {
        return path->size > 0 ? -EINVAL : 0;
    }
    if (name.size == 0) {
        name_it(s->machine, &name);
    }
    struct path_entry **at = find(s->machine, &name);
    if (*at != NULL) {
        return -EADDRINUSE;
    }
    *at = memory_alloc(sizeof(**at));
    **at = (struct path_entry){.path = name, .socket = s};
    s->path = name;
    s->bound = true;
    return 0;
}

int sim_path_find(struct machine *m, const struct sim_path *path, int type,
                  struct sim_socket **found) {
    const struct path_entry *entry = *find(m, path);
    if (path->size == 0) {
        return -EINVAL;
    }
    if (entry == NULL) {
        return path->bytes[0] == '\0' ? -ECONNREFUSED : -ENOENT;
    }
    *found = entry->socket;
    return entry->socket == NULL ? -ECONNREFUSED : entry->socket->type != type ? -EPROTOTYPE : 0;
}

static void remove_entry(struct path_entry **at) {
    struct path_entry *entry = *at;
    *at = entry->next;
    memory_free(entry);
}

void sim_path_leave(struct sim_socket *s) {
    struct path_entry **at = find(s->machine, &s->path);
    if (*at == NULL || (*at)->socket != s) {
        return;
    }
    (*at)->socket = NULL;
    if (s->path.bytes[0] == '\0') {
        remove_entry(at);
    }
}

bool sim_path_remove(struct machine *m, const char *name) {
    struct sim_path path = {.size = strlen(name)};
    if (path.size == 0 || path.size > SIM_PATH) {
        return false;
    }
    memcpy(path.bytes, name, path.size);
    struct path_entry **at = find(m, &path);
    bool there = *at != NULL;
    if (there) {
        remove_entry(at);
    }
    return there;
}

void sim_paths_free(struct machine *m) {
    while (m->paths != NULL) {
        remove_entry(&m->paths);
    }
}
