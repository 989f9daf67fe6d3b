/* SPDX-License-Identifier: MIT
 *
 * The machines of a simulated network: each has a name, addresses, ports, sockets, and the tasks of one
 * program. Machine 0 is the "world", where the body of the run runs.
 *
 * A caller may rely on this: a task belongs to the machine whose number is its domain less SIM_DOMAINS,
 * and machines live until the end of the run.
 */
#ifndef LARIAT_SIM_MACHINE_H
#define LARIAT_SIM_MACHINE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "sim/event.h"
#include "task/task.h"

/* ---- addresses: 16 bytes, IPv4 as ::ffff:a.b.c.d ---- */

struct sim_address {
    unsigned char ip[16];
    unsigned port;
};

/* ---- machines: machine.c ---- */

#define SIM_NAME 64
#define SIM_MACHINES 60000

struct sim_socket;
struct path_entry;

struct port_wait { /* a port in TIME_WAIT: it cannot be bound until then */
    unsigned port;
    uint64_t until;
};

struct machine {
    unsigned id; /* its index in sim.machines */
    char name[SIM_NAME];
    bool up;
    unsigned crashes;     /* how many so far: host:wait tells by it a crash from an exit */
    size_t tasks;         /* how many have not ended */
    int status, expected; /* the exit status; the one that does not fail the run */
    int resolver;         /* registry reference to what it knows of names: see net/resolver.c */
    int globals;          /* registry reference to {globals, loaded, preload}; LUA_NOREF: shared */
    struct waitq ended;   /* tasks that wait for its last task to end */
    struct event crash;   /* its crash, once the tasks that are ready have run */
    struct waitq crashed; /* tasks that wait for that */
    struct sim_socket *sockets;
    unsigned next_port; /* the ephemeral port that is tried next, less EPHEMERAL_FIRST */
    struct port_wait *waits;
    size_t wait_count;
    struct path_entry *paths; /* the names of unix sockets */
    unsigned unnamed;         /* how many abstract names it has given to unix sockets */
    char *input;              /* the content of its standard input */
    size_t input_size;
    struct printed {
        char *text;
        size_t size, capacity;
    } printed[2];  /* everything written to its standard output, and to its standard error */
    bool echo;     /* write that to the real streams as well, each line after its name */
    bool mid_line; /* the last line written there has no newline yet */
};

/* A new machine, up and without tasks. The name has at most SIM_NAME - 1 bytes, and is copied. */
struct machine *machine_new(const char *name);
struct machine *machine_find(const char *name); /* by name; NULL: there is none */
struct machine *machine_of(unsigned domain);    /* the world for a domain of no machine */
struct machine *machine_current(void); /* the running task's; the world when no task runs */

/* The machine that has the address, as seen from `from`, whose own loopback addresses are; or NULL. */
struct machine *machine_at(const struct sim_address *address, struct machine *from);

/* Sets address->ip to the machine's IPv4 or, with `six`, IPv6 address; leaves the port. */
void machine_address(const struct machine *machine, bool six, struct sim_address *address);

/* Is this one of the machine's addresses, or a loopback address? */
bool machine_owns(const struct machine *machine, const struct sim_address *address);

/* Moves a new task to this machine. */
void machine_adopt(struct machine *machine, struct task *task);

/* Ends the machine's program without unwinding: its tasks are dropped and its sockets freed, and no
 * packet tells the peers. */
void machine_crash(struct machine *machine);

/* Appends to its standard output (1) or standard error (2). */
void machine_write(struct machine *machine, int number, const char *data, size_t size);
void machine_forget_names(struct machine *machine); /* its program begins anew */

void machines_close(void); /* frees all machines */

/* May the socket `asks`, of type SOCK_STREAM or SOCK_DGRAM, be bound to that address and port? By
 * Linux's rules of SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY and TIME_WAIT. */
bool machine_port_free(const struct machine *machine, int type, const struct sim_socket *asks,
                       const struct sim_address *address);

/* Sets address->port to a free ephemeral port: 0, or -EADDRINUSE if all are taken. */
int machine_ephemeral_port(struct machine *machine, int type, const struct sim_socket *asks,
                           struct sim_address *address);

/* The port is in TIME_WAIT from now on. */
void machine_wait_port(struct machine *machine, unsigned port);

#endif
