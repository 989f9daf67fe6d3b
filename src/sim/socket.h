/* SPDX-License-Identifier: MIT
 *
 * The simulated kernel's sockets: descriptors, addresses, options and datagrams. How streams work is in
 * stream.h.
 *
 * Functions return 0 or a size, or an errno as a negative number, as the kernel's driver does. None
 * raises or waits; running out of memory ends the program. Only sim_socket_free(), sim_socket_close()
 * and stream functions that end a connection may free a socket.
 */
#ifndef LARIAT_SIM_SOCKET_H
#define LARIAT_SIM_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "sim/machine.h"

/* ---- sockets: socket.c ---- */

#define SIM_FIRST_FD 1000000 /* higher than any descriptor of the kernel's */
#define SIM_BUFFER (128 * 1024)
#define SIM_DATAGRAM_BUFFER 212992 /* Linux, net.core.rmem_default */

enum stream_state { STREAM_NEW, STREAM_LISTENING, STREAM_CONNECTING, STREAM_OPEN, STREAM_DEAD };

#define SIM_PATH 108 /* bytes that fit into a sockaddr_un */

struct sim_path {
    size_t size; /* 0: no name */
    char bytes[SIM_PATH];
};

struct membership;
struct sim_option;

struct sim_socket {
    int fd; /* -1: not accepted yet, or closed by its program while its peer still gets data */
    int family, type;
    struct machine *machine;
    struct sim_socket *prev, *next; /* in the machine's list */
    struct watch *watch;            /* the watch that is told of readiness */
    int armed;                      /* POLLIN | POLLOUT: what the watch waits for */
    bool queued;                    /* in the queue of sockets whose readiness may have changed */
    bool freed; /* freed while in that queue: its memory goes when it leaves it */
    struct sim_socket *queue_next;
    struct sim_option *options;
    int error; /* pending, positive; 0: none */
    bool bound, connected;
    struct sim_address local, remote;
    bool fixed_address, fixed_port;  /* given to bind(): they stay when a connection ends */
    struct sim_path path, peer_path; /* of unix sockets */
    int peer_fd;                     /* of connected unix datagram sockets */
    size_t receive_buffer, send_buffer;
    /* streams */
    enum stream_state state;
    struct flow *in, *out;
    struct sim_socket *listener;              /* it is in this one's backlog; NULL: in none */
    struct sim_socket *children, *child_next; /* connections to be accepted, in order */
    int backlog;
    size_t child_count; /* connections in the backlog, including unfinished handshakes */
    bool established;   /* the handshake is over: it may be accepted */
    bool announced;     /* connect() has reported success */
    bool shut_read;     /* by shutdown() */
    bool active_close;  /* its program closed or shut it down before the peer's did */
    int standard;       /* the number of the standard stream it is, or -1 */
    /* datagrams */
    struct packet *first, *last; /* those that have arrived */
    size_t waiting;              /* bytes in that queue, with overhead */
    size_t queued_packets;
    struct membership *memberships;
};

/* A new socket on the machine, without a descriptor. */
struct sim_socket *sim_socket_new(struct machine *machine, int family, int type);
int sim_socket_give_fd(struct sim_socket *s); /* gives it a descriptor, and returns that */
struct sim_socket *sim_socket_of(int fd);     /* NULL: no such descriptor in this run */
void sim_socket_close(struct sim_socket *s);  /* as close(): a stream's peer still gets the rest */
void sim_socket_free(struct sim_socket *s);   /* at once; the peer is told nothing */

/* Detaches the socket from its flows, so that packets no longer find it; it can still read what has
 * arrived. sim_socket_drop_flows() releases them as well. */
void sim_socket_leave_flows(struct sim_socket *s);
void sim_socket_drop_flows(struct sim_socket *s);

int sim_socket_events(const struct sim_socket *s); /* its readiness: POLLIN | POLLOUT */

/* To be called by whatever may have changed a socket's readiness: its watch is told between ticks. */
void sim_socket_changed(struct sim_socket *s);
bool sim_sockets_tell(void);  /* tells the watches; false: there was nothing to tell */
void sim_sockets_close(void); /* frees all sockets of the run */

/* ---- addresses: socket.c ---- */

/* From a sockaddr: 0, -EAFNOSUPPORT, or -EINVAL for a unix socket. */
int sim_name_from(const struct sim_socket *s, const struct sockaddr *address, socklen_t length,
                  struct sim_address *to);

/* To a sockaddr of the socket's family: a unix socket's from `path`, any other's from `from`. */
void sim_name_to(const struct sim_socket *s, const struct sim_address *from,
                 const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length);

int sim_reach(const struct sim_socket *s, const struct sim_address *to); /* 0, or -ENETUNREACH */
bool sim_is_four(const struct sim_address *a);                           /* is it IPv4? */
bool sim_is_wildcard(const struct sim_address *a);
bool sim_is_loopback(const struct sim_address *a);
void sim_wildcard(struct sim_address *a); /* sets it to the wildcard of its family */
void sim_loopback(
    struct sim_address *a); /* sets a wildcard to the loopback address of its family */

/* As bind(): 0, -EINVAL, -EADDRNOTAVAIL or -EADDRINUSE. */
int sim_bind(struct sim_socket *s, const struct sim_address *a);
int sim_bind_if_unbound(struct sim_socket *s); /* to an ephemeral port */

/* Binds if necessary, and sets a wildcard local address to the one that `peer` will see. */
int sim_choose_local(struct sim_socket *s, const struct sim_address *peer);

/* ---- names of unix sockets: path.c ---- */

int sim_path_from(const struct sockaddr *address, socklen_t length, struct sim_path *path);
void sim_path_to(const struct sim_path *path, struct sockaddr_storage *address, socklen_t *length);

/* Binds; an empty path asks for an abstract name. 0, -EINVAL or -EADDRINUSE. */
int sim_path_bind(struct sim_socket *s, const struct sim_path *path);

/* The socket of that type with the name: 0, -EINVAL, -ENOENT, -ECONNREFUSED or -EPROTOTYPE. */
int sim_path_find(struct machine *machine, const struct sim_path *path, int type,
                  struct sim_socket **found);

void sim_path_leave(struct sim_socket *s); /* the socket ends; its file, if any, stays */

/* As os.remove() of a socket's file; false: there is none. */
bool sim_path_remove(struct machine *machine, const char *name);
void sim_paths_free(struct machine *machine);

/* ---- options: option.c ---- */

int sim_option_set(struct sim_socket *s, int level, int name, const void *value, socklen_t size);
int sim_option_get(struct sim_socket *s, int level, int name, void *value, socklen_t *size);

/* The value of an option that was set, or `otherwise`. */
int sim_option_int(const struct sim_socket *s, int level, int name, int otherwise);
void sim_options_inherit(struct sim_socket *child, const struct sim_socket *parent);
void sim_options_free(struct sim_socket *s);
bool sim_option_resets(const struct sim_socket *s); /* does close reset: SO_LINGER with 0 s? */

/* ---- datagrams: datagram.c ---- */

/* As sendmsg() and recvmsg(): bytes, or a negative errno. */
ssize_t datagram_transmit(struct sim_socket *s, const struct msghdr *message);
ssize_t datagram_take(struct sim_socket *s, struct msghdr *message);

/* As connect(), also with AF_UNSPEC, which disconnects. */
int datagram_connect(struct sim_socket *s, const struct sockaddr *address, socklen_t length);
void datagrams_discard(struct sim_socket *s); /* frees those that have arrived */

/* ---- broadcast and multicast: group.c ---- */

bool sim_is_multicast(const struct sim_address *a);
bool sim_is_broadcast(const struct sim_address *a);
bool group_heard(struct machine *machine,
                 const struct sim_address *group);                      /* has any socket joined? */
int group_join(struct sim_socket *s, const struct sim_address *group);  /* -EADDRINUSE, -EINVAL */
int group_leave(struct sim_socket *s, const struct sim_address *group); /* -EADDRNOTAVAIL */
void groups_leave(struct sim_socket *s);                                /* leaves all groups */

#endif
