/* SPDX-License-Identifier: MIT
 *
 * Name lookups of the kernel's driver. Lookups that need no network are answered at once by the C
 * library: numeric addresses, and names and addresses in the hosts file. All others run on libuv's
 * threads, and take at worst as long as the name servers' timeouts.
 *
 * Invariants: both ways call the same functions of the C library with the same arguments, so the
 * answer does not depend on the way. A lookup that fails at once is repeated on a thread, where
 * other sources than the hosts file may answer. A request that no thread has begun can be
 * cancelled. rt.lookups counts the requests whose callback has not been called.
 */
#include "kernel/lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <uv.h>

#include "base/memory.h"
#include "base/state.h"
#include "kernel/hosts.h"
#include "kernel/threads.h"

/* ---- at once ---- */

/* Only if the host is numeric, and the service absent or a number. */
static bool answer_numeric(struct lookup *lookup) {
    const char *service = *lookup->service ? lookup->service : NULL;
    struct addrinfo hints = lookup->hints;
    hints.ai_flags |= AI_NUMERICHOST | (service ? AI_NUMERICSERV : 0);
    lookup->err = getaddrinfo(lookup->host, service, &hints, &lookup->result);
    return lookup->err == 0 || lookup->err == EAI_ADDRFAMILY; /* numeric, of the other family */
}

static bool answer_name(struct lookup *lookup) {
    if (*lookup->service || !hosts_know_name(lookup->host, lookup->hints.ai_family)) {
        return false;
    }
    lookup->err = getaddrinfo(lookup->host, NULL, &lookup->hints, &lookup->result);
    return lookup->err == 0;
}

/* Only if no service name is wanted: that may come from another source than the hosts file. */
static bool answer_address(struct lookup *lookup) {
    const struct sockaddr *address = (const struct sockaddr *)&lookup->address;
    socklen_t size =
        address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (lookup->service_wanted || !hosts_know_address(address)) {
        return false;
    }
    lookup->err =
        getnameinfo(address, size, lookup->host, sizeof(lookup->host), NULL, 0, lookup->flags);
    return lookup->err == 0;
}

static bool answer_at_once(struct lookup *lookup) {
    if (lookup->reverse) {
        return answer_address(lookup);
    }
    if (answer_numeric(lookup)) {
        return true;
    }
    lookup->result = NULL;
    return answer_name(lookup);
}

/* ---- on a thread ---- */

struct request {
    union {
        uv_getaddrinfo_t forward;
        uv_getnameinfo_t reverse;
        uv_req_t any;
    } uv;
    struct lookup *lookup;
    struct request *prev, *next; /* in `requests` */
};

static struct request *requests; /* under way; those left at exit stay reachable: no leak */

static void complete(struct request *request, int status) {
    struct lookup *lookup = request->lookup;
    *(request->prev ? &request->prev->next : &requests) = request->next;
    if (request->next != NULL) {
        request->next->prev = request->prev;
    }
    lookup->request = NULL;
    lookup->err = status;
    memory_free(request);
    rt.lookups--;
    lookup->ended(lookup);
}

static void on_forward(uv_getaddrinfo_t *uv, int status, struct addrinfo *result) {
    struct request *request = (struct request *)uv;
    request->lookup->result = result;
    complete(request, status);
}

static void on_reverse(uv_getnameinfo_t *uv, int status, const char *host, const char *service) {
    struct request *request = (struct request *)uv;
    if (status == 0) {
        strncpy(request->lookup->host, host, sizeof(request->lookup->host) - 1);
        strncpy(request->lookup->service, service, sizeof(request->lookup->service) - 1);
    }
    complete(request, status);
}

static int ask(struct lookup *lookup, struct request *request) {
    const char *host = *lookup->host ? lookup->host : NULL;
    const char *service = *lookup->service ? lookup->service : NULL;
    if (lookup->reverse) {
        return uv_getnameinfo(&rt.loop, &request->uv.reverse, on_reverse,
                              (struct sockaddr *)&lookup->address, lookup->flags);
    }
    return uv_getaddrinfo(&rt.loop, &request->uv.forward, on_forward, host, service,
                          &lookup->hints);
}

int kernel_lookup(struct lookup *lookup) {
    if (answer_at_once(lookup)) {
        lookup->done = true;
        return 0;
    }
    lookup->result = NULL;
    int err = threads_start();
    if (err < 0) {
        return err;
    }
    struct request *request = memory_try(NULL, sizeof(*request));
    if (request == NULL) {
        return UV_EAI_MEMORY;
    }
    request->lookup = lookup;
    err = ask(lookup, request);
    if (err < 0) {
        memory_free(request);
        return err;
    }
    request->prev = NULL;
    request->next = requests;
    if (request->next != NULL) {
        request->next->prev = request;
    }
    requests = request;
    lookup->request = request;
    rt.lookups++;
    return 0;
}

void kernel_forget_lookup(struct lookup *lookup) {
    struct request *request = lookup->request;
    if (request != NULL) {
        uv_cancel(&request->uv.any); /* fails (UV_EBUSY) if a thread has begun it */
    }
}
