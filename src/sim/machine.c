/* SPDX-License-Identifier: MIT
 *
 * Machines: each has a name, the addresses 10.0.x.y and fd00::x:y, ports, sockets and the tasks of
 * one program. Machine 0 is the "world", where the body of the run runs.
 *
 * Invariant: a task belongs to the machine whose number is in its domain field, and so do the tasks
 * and sockets that it makes. A machine's program has ended when none of its tasks is left. A crash is
 * silent: no `<close>` variable runs, and no packet is sent.
 */
#include "sim/machine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/state.h"
#include "net/socket.h"
#include "sim/event.h"
#include "sim/network.h"
#include "sim/run.h"
#include "sim/sim.h"
#include "sim/socket.h"
#include "task/task.h"

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_COUNT 28232
#define TIME_WAIT_NS (60ull * 1000 * 1000 * 1000)

static const unsigned char four_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned char six_prefix[12] = {0xfd};

struct machine *machine_new(const char *name) {
    struct machine *m = memory_alloc(sizeof(*m));
    *m = (struct machine){
        .id = sim.machine_count, .up = true, .resolver = LUA_NOREF, .globals = LUA_NOREF};
    strncpy(m->name, name, sizeof(m->name) - 1);
    m->next_port = (unsigned)chance_between(CHANCE_PORTS, 0, EPHEMERAL_COUNT - 1);
    sim.machines = memory_realloc(sim.machines, (m->id + 1) * sizeof(*sim.machines));
    sim.machines[sim.machine_count++] = m;
    trace_name(m->name);
    return m;
}

struct machine *machine_find(const char *name) {
    for (unsigned i = 0; i < sim.machine_count; i++) {
        if (strcmp(sim.machines[i]->name, name) == 0) {
            return sim.machines[i];
        }
    }
    return NULL;
}

bool sim_contains(const struct task *task) {
    return task->domain >= SIM_DOMAINS;
}

struct machine *machine_of(unsigned domain) {
    unsigned id = domain - SIM_DOMAINS;
    return domain >= SIM_DOMAINS && id < sim.machine_count ? sim.machines[id] : sim.machines[0];
}

struct machine *machine_current(void) {
    return machine_of(scheduler.current ? scheduler.current->domain : SIM_DOMAINS);
}

void machine_forget_names(struct machine *m) {
    luaL_unref(rt.L, LUA_REGISTRYINDEX, m->resolver);
    m->resolver = LUA_NOREF;
}

int *sim_resolver(void) {
    return &machine_current()->resolver;
}

uint64_t sim_random(void) {
    return chance_between(CHANCE_NAMES, 0, UINT64_MAX);
}

const char *sim_hostname(void) {
    return machine_current()->name;
}

/* ---- addresses ---- */

void machine_address(const struct machine *m, bool six, struct sim_address *a) {
    unsigned number = m->id + 1;
    memcpy(a->ip, six ? six_prefix : four_prefix, sizeof(four_prefix));
    a->ip[12] = six ? 0 : 10;
    a->ip[13] = 0;
    a->ip[14] = (unsigned char)(number >> 8);
    a->ip[15] = (unsigned char)number;
}

bool machine_owns(const struct machine *m, const struct sim_address *a) {
    struct sim_address own;
    machine_address(m, !sim_is_four(a), &own);
    return sim_is_loopback(a) || memcmp(own.ip, a->ip, sizeof(own.ip)) == 0;
}

struct machine *machine_at(const struct sim_address *a, struct machine *from) {
    if (sim_is_loopback(a) || sim_is_wildcard(a)) {
        return from;
    }
    unsigned number = a->ip[14] * 256u + a->ip[15];
    struct sim_address own;
    if (number == 0 || number > sim.machine_count) {
        return NULL;
    }
    machine_address(sim.machines[number - 1], !sim_is_four(a), &own);
    return memcmp(own.ip, a->ip, sizeof(own.ip)) == 0 ? sim.machines[number - 1] : NULL;
}

/* ---- ports ---- */

static bool overlap(const struct sim_socket *s, const struct sim_address *a, bool six_only) {
    if (sim_is_wildcard(&s->local) || sim_is_wildcard(a)) {
        bool both_families = sim_is_four(&s->local) == sim_is_four(a);
        bool dual = !sim_option_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 0) && !six_only;
        return both_families || dual;
    }
    return memcmp(s->local.ip, a->ip, sizeof(a->ip)) == 0;
}

/* As in Linux: b may share the address of a if both allow it and, for streams, a does not listen. */
static bool may_share(const struct sim_socket *a, const struct sim_socket *b) {
    int level = SOL_SOCKET;
    if (sim_option_int(a, level, SO_REUSEPORT, 0) && sim_option_int(b, level, SO_REUSEPORT, 0)) {
        return true;
    }
    bool reuse =
        sim_option_int(a, level, SO_REUSEADDR, 0) && sim_option_int(b, level, SO_REUSEADDR, 0);
    return reuse && a->state != STREAM_LISTENING;
}

/* Is the port in TIME_WAIT? */
static bool waits(const struct machine *m, unsigned port) {
    for (size_t i = 0; i < m->wait_count; i++) {
        if (m->waits[i].port == port && m->waits[i].until > sim.now) {
            return true;
        }
    }
    return false;
}

bool machine_port_free(const struct machine *m, int type, const struct sim_socket *asks,
                       const struct sim_address *a) {
    bool six_only = sim_option_int(asks, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    for (const struct sim_socket *s = m->sockets; s != NULL; s = s->next) {
        if (s != asks && s->bound && s->type == type && s->family != AF_UNIX &&
            s->local.port == a->port && overlap(s, a, six_only) && !may_share(s, asks)) {
            return false;
        }
    }
    bool reuse = sim_option_int(asks, SOL_SOCKET, SO_REUSEADDR, 0);
    return type != SOCK_STREAM || reuse || !waits(m, a->port);
}

int machine_ephemeral_port(struct machine *m, int type, const struct sim_socket *asks,
                           struct sim_address *a) {
    for (unsigned i = 0; i < EPHEMERAL_COUNT; i++) {
        a->port = EPHEMERAL_FIRST + m->next_port;
        m->next_port = (m->next_port + 1) % EPHEMERAL_COUNT;
        if (machine_port_free(m, type, asks, a)) {
            return 0;
        }
    }
    return -EADDRINUSE;
}

void machine_wait_port(struct machine *m, unsigned port) {
    size_t kept = 0;
    for (size_t i = 0; i < m->wait_count; i++) {
        if (m->waits[i].until > sim.now) {
            m->waits[kept++] = m->waits[i];
        }
    }
    m->wait_count = kept + 1;
    m->waits = memory_realloc(m->waits, m->wait_count * sizeof(*m->waits));
    m->waits[kept] = (struct port_wait){port, sim.now + TIME_WAIT_NS};
}

/* ---- programs ---- */

void sim_task_began(const struct task *task) {
    machine_of(task->domain)->tasks++;
}

void machine_adopt(struct machine *m, struct task *task) {
    machine_of(task->domain)->tasks--;
    task->domain = SIM_DOMAINS + m->id;
    m->tasks++;
}

/* Closes the sockets that the machine's program has left open, as a kernel does at its end. */
static void close_sockets(const struct machine *m, void (*close)(struct socket *)) {
    struct socket *next;
    for (struct socket *s = sockets.all; s != NULL; s = next) {
        next = s->all_next;
        if (s->domain == SIM_DOMAINS + m->id && s->watch.driver == rt.driver) {
            close(s);
        }
    }
}

/* The last line that the machine has written to standard error, which mostly says why it ended. */
static const char *last_line(const struct machine *m, int *length) {
    const char *text = m->printed[1].text;
    size_t end = m->printed[1].size;
    while (end > 0 && text[end - 1] == '\n') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '\n') {
        begin--;
    }
    *length = (int)(end - begin);
    return end > 0 ? text + begin : "";
}

/* Fails the run if the machine's program has ended with another status than the expected one. */
static void check_status(const struct machine *m) {
    if (m->up && !sim.over && m->status != m->expected) {
        int length;
        const char *line = last_line(m, &length);
        sim_fail("host '%s' ended with status %d after %.6f s%s%.*s", m->name, m->status,
                 (double)(sim.now - SIM_BOOT) / 1e9, length > 0 ? ": " : "", length, line);
    }
}

void sim_task_ended(const struct task *task) {
    struct machine *m = machine_of(task->domain);
    if (--m->tasks == 0) {
        check_status(m);
        close_sockets(m, socket_close);
        waitq_wake_all(&m->ended, WAKE_READY);
    }
}

static void drop_tasks(const struct machine *m) {
    struct task *next;
    for (struct task *t = scheduler.all; t != NULL; t = next) {
        next = t->all_next;
        if (t->domain == SIM_DOMAINS + m->id) {
            task_drop(t);
        }
    }
}

void machine_crash(struct machine *m) {
    struct sim_socket *next;
    m->up = false;
    m->crashes++;
    for (struct sim_socket *s = m->sockets; s != NULL; s = next) {
        next = s->next;
        sim_socket_free(s);
    }
    m->wait_count = 0;
    drop_tasks(m);
    close_sockets(m, socket_abort);
}

/* ---- output of its program ---- */

/* Writes to a real stream, each line after its time and the machine's name. The other stream is flushed
 * first, so that the lines of both appear in the order of their times. */
static void echo(struct machine *m, FILE *file, const char *data, size_t size) {
    fflush(file == stdout ? stderr : stdout);
    for (const char *end = data + size; data < end;) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t length = newline ? (size_t)(newline - data) + 1 : (size_t)(end - data);
        if (!m->mid_line) {
            fprintf(file, "%10.6f %s| ", (double)(sim.now - SIM_BOOT) / 1e9, m->name);
        }
        fwrite(data, 1, length, file);
        m->mid_line = newline == NULL;
        data += length;
    }
}

void machine_write(struct machine *m, int number, const char *data, size_t size) {
    struct printed *printed = &m->printed[number == 2];
    if (printed->size + size > printed->capacity) {
        printed->capacity = 2 * (printed->size + size);
        printed->text = memory_realloc(printed->text, printed->capacity);
    }
    memcpy(printed->text + printed->size, data, size);
    printed->size += size;
    if (m->echo) {
        echo(m, number == 2 ? stderr : stdout, data, size);
    }
}

void machines_close(void) {
    for (unsigned i = 0; i < sim.machine_count; i++) {
        struct machine *m = sim.machines[i];
        luaL_unref(rt.L, LUA_REGISTRYINDEX, m->globals);
        machine_forget_names(m);
        sim_paths_free(m);
        memory_free(m->waits);
        memory_free(m->input);
        memory_free(m->printed[0].text);
        memory_free(m->printed[1].text);
        memory_free(m);
    }
    memory_free(sim.machines);
    sim.machines = NULL;
    sim.machine_count = 0;
}
