/* SPDX-License-Identifier: MIT
 *
 * Predicts which lookups the C library answers from the hosts file alone, so that they can be made
 * at once, on the main thread. Each call reads nsswitch.conf and the hosts file, and caches
 * nothing.
 */
#ifndef LARIAT_HOSTS_H
#define LARIAT_HOSTS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True: getaddrinfo(name) with this family (AF_UNSPEC, AF_INET, AF_INET6) finds the name in the
 * hosts file and asks no other source. False: it may ask one, or the file is too large. */
bool hosts_know_name(const char *name, int family);

/* The same for getnameinfo() and an address of AF_INET or AF_INET6. */
bool hosts_know_address(const struct sockaddr *address);

#endif
