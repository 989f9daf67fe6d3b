/* SPDX-License-Identifier: MIT
 *
 * A network in memory, for tests: machines on one LAN, packets with a fate drawn from a seed, and a
 * clock that jumps to the next event when no task can run. `driver_sim` offers it as the kernel's
 * system calls, so everything above src/driver.h runs unchanged.
 *
 *   sim_run.c      a run: a second scheduler over this driver, until the world's task has ended
 *   sim_events.c   what will happen, in order; virtual time
 *   sim_random.c   the seeded streams of chance, one for each purpose
 *   sim_machine.c  the machines: addresses, ports, tasks, crash
 *   sim_network.c  links between machines and the fate of every packet
 *   sim_rule.c     what the script decides about packets
 *   sim_trace.c    the record of every packet, and its hash
 *   sim_driver.c   the table of functions
 *   sim_socket.c   sockets: descriptors, names, readiness
 *   sim_path.c     the names of unix sockets
 *   sim_lookup.c   the names of machines
 *   sim_option.c   what setsockopt and getsockopt remember
 *   sim_stream.c   streams: what calls and packets do to one end
 *   sim_connect.c  how streams begin: listen, connect, accept, refuse
 *   sim_flow.c     one direction of a stream: bytes, windows, retransmission
 *   sim_datagram.c UDP and unix datagrams
 *   sim_group.c    broadcast and multicast
 *   sim_globals.c  globals of their own for machines that run scripts
 *   sim_lua.c      what lua/lariat/sim.lua makes the API of
 *
 * Invariant: nothing here asks the real clock, the real network or an address in memory for a
 * decision, so a seed decides the whole run.
 */
#ifndef LARIAT_SIM_H
#define LARIAT_SIM_H

#include <lua.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "task.h"

extern const struct driver driver_sim;

/* ---- events and time: sim_events.c ---- */

struct event {
    uint64_t due;
    uint64_t order; /* of events that are due together: as they were added */
    size_t slot;    /* 1-based place in the heap; 0: not in it */
    bool idle;      /* it brings nothing about by itself: not a reason to go on waiting for */
    void (*fire)(struct event *event);
    void (*drop)(
        struct event *event); /* instead, at the end of the run; NULL: its owner lives on */
};

void event_add(struct event *event, uint64_t due);
void event_remove(struct event *event);
bool events_step(void);      /* advances the clock and fires what is due then; false: nothing is */
uint64_t events_clock(void); /* what the clock says; looking again and again makes it go on */
void events_busy(void);      /* a tick at the same instant */
void events_close(void);

/* ---- chance: sim_random.c ---- */

enum chance {
    CHANCE_LATENCY,
    CHANCE_LOSS,
    CHANCE_DUPLICATE,
    CHANCE_REORDER,
    CHANCE_DELAY,
    CHANCE_SPLIT,
    CHANCE_PARTITION,
    CHANCE_PORTS,
    CHANCES
};

void chance_open(uint64_t seed);
uint64_t chance_of(uint64_t seed, uint64_t n); /* the n-th number of a stream of its own */
uint64_t chance_next(enum chance stream);
double chance_unit(enum chance stream);                                   /* [0, 1) */
bool chance_happens(enum chance stream, double probability);              /* draws either way */
uint64_t chance_between(enum chance stream, uint64_t low, uint64_t high); /* both included */

/* ---- addresses: 16 bytes, IPv4 as ::ffff:a.b.c.d ---- */

struct sim_address {
    unsigned char ip[16];
    unsigned port;
};

/* ---- machines: sim_machine.c ---- */

#define SIM_OWNERS 0x1000000u /* owner numbers from here on are machines: see dump.c */
#define SIM_NAME 64
#define SIM_MACHINES 60000

struct sim_socket;
struct path_entry;

struct port_wait { /* a port that TIME_WAIT keeps from being bound */
    unsigned port;
    uint64_t until;
};

struct machine {
    unsigned id;
    char name[SIM_NAME];
    bool up;
    unsigned boots;       /* how often it was started: packets of an earlier life are strangers */
    size_t tasks;         /* that have not ended */
    int status, expected; /* as of os.exit; as the script of the run foresees it */
    int globals;          /* registry reference to {globals, loaded, preload}; LUA_NOREF: shared */
    struct waitq ended;   /* who waits for its last task to end */
    struct event crash;   /* it is about to */
    struct waitq crashed; /* who waits for that */
    struct sim_socket *sockets;
    unsigned next_port;
    struct port_wait *waits;
    size_t wait_count;
    struct path_entry *paths; /* the names of unix sockets */
    unsigned unnamed;         /* how many it has given itself */
    char *input;              /* what its standard input holds */
    size_t input_size;
    struct printed {
        char *text;
        size_t size, capacity;
    } printed[2];  /* on its standard output, and its standard error */
    bool echo;     /* print it in earnest as well, behind its name */
    bool mid_line; /* the last line of that has not ended */
};

struct machine *machine_new(const char *name);
struct machine *machine_find(const char *name);
struct machine *machine_of(unsigned owner); /* the world if it is nobody's */
struct machine *machine_current(void);      /* of the running task; the world outside of tasks */
struct machine *machine_at(const struct sim_address *address, struct machine *from);
void machine_address(const struct machine *machine, bool six, struct sim_address *address);
bool machine_owns(const struct machine *machine, const struct sim_address *address);
void machine_adopt(struct machine *machine, struct task *task);
void machine_crash(struct machine *machine); /* its tasks are dropped, its sockets fall silent */
void machine_write(struct machine *machine, int number, const char *data, size_t size);
void machines_close(void);
bool machine_port_free(const struct machine *machine, int type, const struct sim_socket *asks,
                       const struct sim_address *address);
int machine_ephemeral_port(struct machine *machine, int type, const struct sim_socket *asks,
                           struct sim_address *address);
void machine_wait_port(struct machine *machine, unsigned port);

/* ---- packets: sim_network.c ---- */

enum packet_kind {
    PACKET_SYN,
    PACKET_SYNACK,
    PACKET_ACK,
    PACKET_DATA,
    PACKET_FIN,
    PACKET_RST,
    PACKET_DATAGRAM,
    PACKET_UNREACHABLE,
};

enum verdict {
    VERDICT_DELIVERED,
    VERDICT_LOST,
    VERDICT_PARTITIONED,
    VERDICT_HELD,
    VERDICT_RULED,   /* dropped by the script's rule */
    VERDICT_DOWN,    /* the machine is down, or was never there */
    VERDICT_REFUSED, /* nobody listens there */
    VERDICT_FULL,    /* the receiver has no room */
    VERDICT_RESET,   /* the script's rule broke the connection */
};

struct flow;

struct packet {
    struct event event;
    struct packet *next; /* among those that a link holds */
    enum packet_kind kind;
    struct machine *from, *to; /* to is NULL for an address nobody has */
    unsigned boot;             /* of the receiver, when its stream began; 0: any */
    struct sim_address source, target;
    struct flow *flow; /* whose bytes, or whose beginning or end, it is about; owned, or NULL */
    uint64_t sequence; /* of its first byte */
    size_t size;
    unsigned attempt;
    size_t record;    /* in the trace */
    size_t path_size; /* of a unix datagram's sender, whose path is behind the data */
    bool group;       /* a broadcast or multicast: for everybody who listens there */
    bool copy;        /* a duplicate */
    bool lost;        /* it will not arrive; the event is its sender's timer */
    void (*arrive)(struct packet *packet);
    void (*retry)(struct packet *packet); /* its sender's timer; NULL: nobody resends it */
    char data[];                          /* of a datagram */
};

struct faults { /* probabilities, and what they cost in nanoseconds */
    uint64_t latency_low, latency_high;
    double loss, duplicate, reorder, delay, split;
    uint64_t partition; /* mean time between partitions that come by themselves; 0: none come */
};

struct packet *packet_new(enum packet_kind kind, struct machine *from, struct machine *to,
                          size_t data);
void packet_send(struct packet *packet); /* decides its fate; owns it from now on */
void packet_lose(struct packet *packet); /* it is its sender's timer's from now on */
void packet_free(struct packet *packet);
const char *packet_kind_name(enum packet_kind kind);
void packet_mark(const struct packet *packet, enum verdict verdict); /* what came of it after all */
bool link_is_open(const struct machine *from, const struct machine *to);
void network_set_faults(const struct faults *faults);
void network_close(void);

struct ruling {
    bool drop, duplicate, reset;
    uint64_t delay;
};

void rule_set(lua_State *L, int index); /* a function or nil */
bool rule_is_set(void);
struct ruling rule_ask(struct packet *packet); /* between ticks */
void rule_close(void);

enum link_state { LINK_OPEN, LINK_PARTITIONED, LINK_HELD };
void link_set(struct machine *from, struct machine *to, enum link_state state);

/* ---- the trace: sim_trace.c ---- */

size_t trace_add(const struct packet *packet, enum verdict verdict, uint64_t arrival);
void trace_amend(size_t record, enum verdict verdict);
void trace_open(lua_State *L);     /* pushes the run's trace */
void trace_name(const char *name); /* of the next machine */
void trace_close(void);
void trace_open_module(lua_State *L);

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
int sim_standard(int number); /* a descriptor for a standard stream */

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

/* ---- flows: sim_flow.c ---- */

/* One direction of a stream. Offsets count bytes since its beginning, and
 * taken <= arrived <= sent <= written; the ring holds [taken, written). */
struct flow {
    unsigned references;
    bool local;                        /* inside one machine's kernel: no packets */
    struct sim_socket *from, *to;      /* NULL: that end is over, or not there yet */
    struct machine *sender, *receiver; /* receiver NULL: an address nobody has */
    struct sim_address source, target;
    char *ring;
    size_t capacity; /* a power of two */
    size_t window;   /* the receiver's buffer */
    uint64_t taken, arrived, sent, written;
    struct span *spans; /* what has arrived beyond `arrived`, in order */
    size_t span_count;
    bool ended;       /* nothing will be written any more: the end is at `written` */
    bool end_sent;    /* the packet that says so is on its way */
    bool end_seen;    /* it has arrived, */
    bool end_arrived; /* and everything before it has, too */
    bool stalled;     /* the receiver had no room */
    bool update_sent; /* it tells that it has again */
};

struct flow *flow_new(struct sim_socket *from, struct sim_socket *to, bool local);
void flow_release(struct flow *flow);
struct packet *flow_packet(enum packet_kind kind, struct flow *flow);
void flow_pump(struct flow *flow);   /* sends what may be sent */
void flow_orphan(struct flow *flow); /* nobody receives it any more */
void flow_arrive(struct flow *flow, uint64_t begin, uint64_t end);
size_t flow_readable(const struct flow *flow);
size_t flow_room(const struct flow *flow);
size_t flow_write(struct flow *flow, const char *data, size_t size);
void flow_give(struct flow *flow, const char *data, size_t size); /* whatever the room */
size_t flow_take(struct flow *flow, char *data, size_t size);

/* ---- streams: sim_stream.c, sim_connect.c ---- */

void stream_receive_data(struct packet *packet);
void stream_receive_end(struct packet *packet);
void stream_reset(struct sim_socket *s);           /* tells the peer */
void stream_send_reset(struct flow *flow);         /* tells that flow's sender */
void stream_fail(struct sim_socket *s, int error); /* the connection is over, for this end */
void stream_close(struct sim_socket *s);
void stream_settle(struct sim_socket *s); /* frees what nobody needs any more */
int stream_events(const struct sim_socket *s);
ssize_t stream_recv(struct sim_socket *s, char *data, size_t size);
ssize_t stream_send(struct sim_socket *s, const struct msghdr *message);
int stream_shutdown(struct sim_socket *s, int how);
int stream_connect(struct sim_socket *s, const struct sim_address *to);
int stream_connect_path(struct sim_socket *s, const struct sim_path *path);
int stream_listen(struct sim_socket *s, int backlog);
int stream_accept(struct sim_socket *s, struct sim_socket **child);
void stream_leave_listener(struct sim_socket *child);
void stream_drop_children(struct sim_socket *listener);
void stream_established(struct sim_socket *s);
uint64_t stream_patience(const struct packet *packet); /* until it is sent again */

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

/* ---- names of machines: sim_lookup.c ---- */

struct lookup;
int sim_lookup(struct lookup *lookup);

/* ---- a run: sim_run.c ---- */

struct simulation {
    bool over;    /* the run is to end */
    uint64_t now; /* nanoseconds; begins at SIM_BOOT */
    double epoch; /* the wall clock at SIM_BOOT */
    uint64_t events, max_events, max_time;
    struct machine **machines; /* the first is the world */
    unsigned machine_count;
    struct faults faults;
    struct event alarm;
    char *failure; /* why it ended, if something here had to end it; else NULL */
};

/* ---- globals of machines that run scripts: sim_globals.c ---- */

void globals_open(lua_State *L);
void globals_close(lua_State *L);
void globals_make(lua_State *L, struct machine *machine); /* pushes them */

#define SIM_BOOT 1000000000u /* not 0, which means "not yet" in deadlines */

extern struct simulation sim;

int sim_run(lua_State *L, const struct simulation *options, uint64_t seed);

void sim_enter(const struct task *task);      /* called before it is resumed */
void sim_task_began(const struct task *task); /* counted with its machine */
void sim_task_ended(const struct task *task); /* the last one ends the machine's program */
/* The run cannot go on; the first reason counts. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void sim_refuse(lua_State *L, const char *what); /* raises if a simulation runs */
int sim_exit(lua_State *L, int status);          /* os.exit */
int sim_open_module(lua_State *L);               /* pushes lariat.core.sim */
bool task_is_simulated(const struct task *task);

#endif
