/* SPDX-License-Identifier: MIT
 *
 * The simulated kernel's sockets. See sim.h.
 */
#ifndef LARIAT_SIM_SOCKET_H
#define LARIAT_SIM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "sim/machine.h"

/* ---- sockets: sim_socket.c, sim_path.c, sim_option.c ---- */

#define SIM_FIRST_FD 1000000 /* no descriptor of the kernel's is as high */
#define SIM_BUFFER (128 * 1024)
#define SIM_DATAGRAM_BUFFER 212992 /* Linux, net.core.rmem_default */

enum stream_state { STREAM_NEW, STREAM_LISTENING, STREAM_CONNECTING, STREAM_OPEN, STREAM_DEAD };

#define SIM_PATH 108 /* bytes that fit into a sockaddr_un */

struct sim_path {
    size_t size; /* 0: none */
    char bytes[SIM_PATH];
};

struct membership;
struct sim_option;

struct sim_socket {
    int fd; /* -1: not yet accepted, or closed by its program and not yet over */
    int family, type;
    struct machine *machine;
    struct sim_socket *prev, *next; /* of the machine's */
    struct watch *watch;            /* who is told of readiness */
    int armed;                      /* POLLIN | POLLOUT as asked for */
    bool queued;                    /* among those to be told about */
    bool freed;                     /* and to be freed then */
    struct sim_socket *queue_next;
    struct sim_option *options;
    int error; /* pending, positive */
    bool bound, connected;
    struct sim_address local, remote;
    bool fixed_address, fixed_port;  /* bind() was told them: they outlive a connection */
    struct sim_path path, peer_path; /* of unix sockets */
    int peer_fd;                     /* of connected unix datagram sockets */
    size_t receive_buffer, send_buffer;
    /* streams */
    enum stream_state state;
    struct flow *in, *out;
    struct sim_socket *listener;              /* whose child it is, until accepted */
    struct sim_socket *children, *child_next; /* waiting to be accepted, in order */
    int backlog;
    size_t child_count; /* with those whose handshake is under way */
    bool established;   /* the handshake is over: it may be accepted */
    bool announced;     /* connect() has reported success */
    bool shut_read;
    bool active_close; /* it ended before its peer did */
    int standard;      /* the number of the standard stream it is, or -1 */
    /* datagrams */
    struct packet *first, *last;
    size_t waiting; /* bytes in that queue */
    size_t queued_packets;
    struct membership *memberships;
};

struct sim_socket *sim_socket_new(struct machine *machine, int family, int type);
struct sim_socket *sim_socket_of(int fd); /* NULL: no such descriptor */
int sim_socket_give_fd(struct sim_socket *s);
void sim_socket_changed(struct sim_socket *s); /* its readiness may have */
void sim_socket_leave_flows(struct sim_socket *s);
void sim_socket_drop_flows(struct sim_socket *s);
void sim_socket_close(struct sim_socket *s);
void sim_socket_free(struct sim_socket *s);
int sim_socket_events(const struct sim_socket *s);
bool sim_sockets_tell(void); /* tells watches of readiness; false: there was nothing to tell */
void sim_sockets_close(void);

int sim_name_from(const struct sim_socket *s, const struct sockaddr *address, socklen_t length,
                  struct sim_address *to);
void sim_name_to(const struct sim_socket *s, const struct sim_address *from,
                 const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length);
int sim_reach(const struct sim_socket *s, const struct sim_address *to); /* 0, or -ENETUNREACH */
bool sim_is_wildcard(const struct sim_address *a);
bool sim_is_four(const struct sim_address *a);
bool sim_is_loopback(const struct sim_address *a);
void sim_loopback(struct sim_address *a); /* of the wildcard's family */
void sim_wildcard(struct sim_address *a); /* of the same family */
int sim_bind(struct sim_socket *s, const struct sim_address *a);
int sim_bind_if_unbound(struct sim_socket *s);
int sim_choose_local(struct sim_socket *s, const struct sim_address *peer);

int sim_path_from(const struct sockaddr *address, socklen_t length, struct sim_path *path);
void sim_path_to(const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length);
int sim_path_bind(struct sim_socket *s, const struct sim_path *path);
int sim_path_find(struct machine *machine, const struct sim_path *path, int type,
                  struct sim_socket **found); /* -ENOENT, -ECONNREFUSED, -EPROTOTYPE */
void sim_path_leave(struct sim_socket *s);
bool sim_path_remove(struct machine *machine, const char *name); /* false: it was not there */
void sim_paths_free(struct machine *machine);

int sim_option_set(struct sim_socket *s, int level, int name, const void *value, socklen_t size);
int sim_option_get(struct sim_socket *s, int level, int name, void *value, socklen_t *size);
int sim_option_int(const struct sim_socket *s, int level, int name, int otherwise);
void sim_options_inherit(struct sim_socket *child, const struct sim_socket *parent);
void sim_options_free(struct sim_socket *s);
bool sim_lingers_not(const struct sim_socket *s); /* SO_LINGER 0: close resets */

/* ---- datagrams: sim_datagram.c, sim_group.c ---- */

ssize_t datagram_transmit(struct sim_socket *s, const struct msghdr *message);
ssize_t datagram_take(struct sim_socket *s, struct msghdr *message);
int datagram_connect(struct sim_socket *s, const struct sockaddr *address, socklen_t length);
void datagrams_discard(struct sim_socket *s);

bool sim_is_multicast(const struct sim_address *a);
bool sim_is_broadcast(const struct sim_address *a);
bool group_heard(struct machine *machine, const struct sim_address *group); /* any has joined */
int group_join(struct sim_socket *s, const struct sim_address *group);
int group_leave(struct sim_socket *s, const struct sim_address *group);
void groups_leave(struct sim_socket *s); /* all of them */

#endif
