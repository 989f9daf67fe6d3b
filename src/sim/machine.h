/* SPDX-License-Identifier: MIT
 *
 * The machines of a simulated network, and their addresses. See sim.h.
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

/* ---- machines: sim_machine.c ---- */

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
    unsigned crashes;     /* so far: whoever waits for its end tells them from an exit */
    size_t tasks;         /* that have not ended */
    int status, expected; /* as of os.exit; as the script of the run foresees it */
    int resolver;         /* registry reference to what it knows of names: see resolver.c */
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
struct machine *machine_of(unsigned domain); /* the world if it is nobody's */
struct machine *machine_current(void);       /* of the running task; the world outside of tasks */
struct machine *machine_at(const struct sim_address *address, struct machine *from);
void machine_address(const struct machine *machine, bool six, struct sim_address *address);
bool machine_owns(const struct machine *machine, const struct sim_address *address);
void machine_adopt(struct machine *machine, struct task *task);
void machine_crash(struct machine *machine); /* its tasks are dropped, its sockets fall silent */
void machine_write(struct machine *machine, int number, const char *data, size_t size);
void machine_forget_names(struct machine *machine); /* its program begins anew */
void machines_close(void);
bool machine_port_free(const struct machine *machine, int type, const struct sim_socket *asks,
                       const struct sim_address *address);
int machine_ephemeral_port(struct machine *machine, int type, const struct sim_socket *asks,
                           struct sim_address *address);
void machine_wait_port(struct machine *machine, unsigned port);

#endif
