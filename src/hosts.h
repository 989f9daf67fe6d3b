/* SPDX-License-Identifier: MIT
 *
 * Predicts which lookups the C library answers from the hosts file alone, so that they may be made
 * at once, in the runtime's own thread.
 */
#ifndef LARIAT_HOSTS_H
#define LARIAT_HOSTS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True: getaddrinfo(name) with this family (AF_UNSPEC, AF_INET, AF_INET6) finds the name in the
 * hosts file and asks nobody else. False: it may have to, or the file is too large. */
bool hosts_know_name(const char *name, int family);

/* The same of getnameinfo() and an address. */
bool hosts_know_address(const struct sockaddr *address);

#endif
