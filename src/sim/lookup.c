/* SPDX-License-Identifier: MIT
 *
 * Names of machines. Every machine knows the names of all, and itself as localhost as well. Numeric
 * addresses and the names of services are those of the world outside. No other names exist.
 *
 * Invariant: the answer is found when the lookup starts, and delivered LOOKUP_NS later, so that a
 * lookup suspends its task as in the real world. Lookups that are under way when a run ends are dropped.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "net/resolve.h"
#include "sim/event.h"
#include "sim/machine.h"
#include "sim/run.h"
#include "sim/sim.h"
#include "sim/socket.h"

#define LOOKUP_NS (1000 * 1000)

struct question {
    struct event event;
    struct lookup *lookup;
};

/* ---- name to address ---- */

/* The result comes from getaddrinfo(), because it will be freed by freeaddrinfo(). */
static int numeric(struct lookup *lookup, const char *text) {
    struct addrinfo hints = lookup->hints;
    const char *service = *lookup->service ? lookup->service : NULL;
    hints.ai_flags |= AI_NUMERICHOST;
    switch (getaddrinfo(text, service, &hints, &lookup->result)) {
    case 0: return 0;
    case EAI_ADDRFAMILY: return UV_EAI_ADDRFAMILY;
    case EAI_SERVICE: return UV_EAI_SERVICE;
    default: return LOOKUP_NOT_SIMULATED;
    }
}

/* The result for a name with that address. The canonical name is the name itself. */
static int named(struct lookup *lookup, const struct sim_address *a, bool six) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(six ? AF_INET6 : AF_INET, a->ip + (six ? 0 : 12), text, sizeof(text));
    int err = numeric(lookup, text);
    if (err == 0 && lookup->result->ai_canonname != NULL) {
        free(lookup->result->ai_canonname);
        lookup->result->ai_canonname = strdup(lookup->host);
    }
    return err;
}

static int address_of_name(struct lookup *lookup) {
    struct machine *m = machine_find(lookup->host);
    bool six = lookup->hints.ai_family == AF_INET6;
    struct sim_address a;
    machine_address(machine_current(), six, &a);
    if (strcmp(lookup->host, "localhost") == 0) {
        sim_wildcard(&a);
        sim_loopback(&a);
        return named(lookup, &a, six);
    }
    if (m != NULL) {
        machine_address(m, six, &a);
        return named(lookup, &a, six);
    }
    if (*lookup->host == '\0' && *lookup->service == '\0') {
        return UV_EINVAL;
    }
    return numeric(lookup, *lookup->host ? lookup->host : NULL);
}

/* ---- address to name ---- */

static int name_of_address(struct lookup *lookup) {
    const struct sockaddr *name = (const struct sockaddr *)&lookup->address;
    socklen_t size =
        name->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    struct sim_socket probe = {.family = name->sa_family};
    struct sim_address a;
    if (sim_name_from(&probe, name, size, &a) < 0) {
        return UV_EAI_FAMILY;
    }
    struct machine *m = machine_at(&a, NULL);
    bool known = m != NULL || sim_is_loopback(&a);
    if (!known && lookup->flags & NI_NAMEREQD) {
        return UV_EAI_NONAME;
    }
    int flags = (lookup->flags & ~NI_NAMEREQD) | NI_NUMERICHOST;
    if (getnameinfo(name, size, lookup->host, sizeof(lookup->host), lookup->service,
                    sizeof(lookup->service), flags) != 0) {
        return UV_EAI_NONAME;
    }
    if (known) {
        strcpy(lookup->host, m ? m->name : "localhost");
    }
    return 0;
}

/* ---- asking ---- */

static void answer(struct event *event) {
    struct question *question = (struct question *)event;
    struct lookup *lookup = question->lookup;
    memory_free(question);
    lookup->abandoned |= waitq_is_empty(&lookup->waiters); /* the task was dropped by a crash */
    lookup->ended(lookup);
}

static void forget(struct event *event) {
    memory_free(event);
}

int sim_lookup(struct lookup *lookup) {
    struct question *question = memory_alloc(sizeof(*question));
    *question = (struct question){.event = {.fire = answer, .drop = forget}, .lookup = lookup};
    lookup->err = lookup->reverse ? name_of_address(lookup) : address_of_name(lookup);
    event_add(&question->event, sim.now + LOOKUP_NS);
    return 0;
}
