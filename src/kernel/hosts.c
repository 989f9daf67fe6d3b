/* SPDX-License-Identifier: MIT
 *
 * Predicts which lookups the C library answers from the hosts file alone. It only predicts: the
 * answer, its order and its canonical name are still those of getaddrinfo() and getnameinfo(),
 * which then return without waiting for a network.
 *
 * Invariant: no false "yes". A "yes" requires a regular hosts file of at most LIMIT bytes (the C
 * library reads all of it for each lookup), `files` as the first source of names in nsswitch.conf,
 * and no name service cache. A line counts only for the family in which it is written: how the C
 * library treats IPv4-mapped addresses, or "::1" for IPv4, is not predicted. Both files are read
 * anew for each lookup, so nothing can be out of date; a table kept between lookups was rejected,
 * because the C library reads the file at each one anyway. (If a name is removed from the file
 * after we have read it and before the C library does, that asks a name server, and the program
 * blocks.)
 */
#include "kernel/hosts.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT (64 * 1024)

static char content[LIMIT + 1]; /* of the file being parsed */

/* Reads a file into `content`. False: it is not regular, too large, or contains zero bytes. */
static bool read_file(const char *path) {
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool regular = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    ssize_t size = 0, n = regular ? 1 : -1;
    while (n > 0 && size < LIMIT) {
        n = read(fd, content + size, (size_t)(LIMIT - size));
        size += n > 0 ? n : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    content[size] = '\0';
    return n == 0 && strlen(content) == (size_t)size;
}

/* ---- lines and words, split as the C library does ---- */

/* Cuts the first line off `*rest`, without its comment; NULL at the end. */
static char *next_line(char **rest) {
    char *line = *rest;
    if (*line == '\0') {
        return NULL;
    }
    char *end = line + strcspn(line, "\n");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    line[strcspn(line, "#")] = '\0';
    return line;
}

/* Cuts the first word off `*rest`; NULL if there is none. */
static char *next_word(char **rest) {
    char *word = *rest;
    while (isspace((unsigned char)*word)) {
        word++;
    }
    if (*word == '\0') {
        return NULL;
    }
    char *end = word;
    while (*end != '\0' && !isspace((unsigned char)*end)) {
        end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* ---- nsswitch.conf ---- */

/* Whether `files` is the first of these sources, and no other is asked once it has found something.
 * An action that might change that, as in "files [SUCCESS=continue] dns", counts as "no". */
static bool files_lead(const char *sources) {
    sources += strspn(sources, " \t");
    if (strncmp(sources, "files", 5) != 0) {
        return false;
    }
    sources += 5;
    const char *after = sources + strspn(sources, " \t");
    if (*after == '[') {
        const char *end = strchr(after, ']');
        const char *success = strcasestr(after, "success"), *negated = strchr(after, '!');
        return end != NULL && (success == NULL || success > end) &&
               (negated == NULL || negated > end);
    }
    return after > sources || *after == '\0';
}

static bool file_is_asked_first(void) {
    char *rest = content, *line;
    bool first = false;
    if (access("/var/run/nscd/socket", F_OK) == 0 || !read_file("/etc/nsswitch.conf")) {
        return false;
    }
    while ((line = next_line(&rest)) != NULL) {
        line += strspn(line, " \t");
        size_t size = strcspn(line, ": \t");
        const char *colon = line + size + strspn(line + size, " \t");
        if (size == 5 && strncmp(line, "hosts", 5) == 0 && *colon == ':') {
            first = files_lead(colon + 1);
            if (!first) {
                return false;
            }
        }
    }
    return first;
}

/* ---- the hosts file ---- */

struct line {
    int family;
    unsigned char address[sizeof(struct in6_addr)];
    char *names; /* separated by space */
};

/* False: the line has no address, or an IPv4-mapped one, which is not predicted. */
static bool parse(char *text, struct line *line) {
    char *word = next_word(&text);
    line->names = text;
    if (word == NULL) {
        return false;
    }
    line->family = strchr(word, ':') == NULL ? AF_INET : AF_INET6;
    return inet_pton(line->family, word, line->address) == 1 &&
           !(line->family == AF_INET6 &&
             IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)line->address));
}

static bool names(char *rest, const char *name) {
    char *word;
    while ((word = next_word(&rest)) != NULL) {
        if (strcasecmp(word, name) == 0) {
            return true;
        }
    }
    return false;
}

/* libuv rewrites names that are not ASCII, and refuses names longer than DNS allows. */
static bool is_plain(const char *name) {
    size_t size = 0;
    while (name[size] > ' ' && name[size] < 127) {
        size++;
    }
    return size > 0 && size < 254 && name[size] == '\0';
}

bool hosts_know_name(const char *name, int family) {
    struct line line;
    char *rest = content, *text;
    if (!is_plain(name) || !file_is_asked_first() || !read_file("/etc/hosts")) {
        return false;
    }
    while ((text = next_line(&rest)) != NULL) {
        if (parse(text, &line) && (family == AF_UNSPEC || family == line.family) &&
            names(line.names, name)) {
            return true;
        }
    }
    return false;
}

bool hosts_know_address(const struct sockaddr *address) {
    bool four = address->sa_family == AF_INET;
    const void *bytes = four ? (const void *)&((const struct sockaddr_in *)address)->sin_addr
                             : (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr;
    size_t size = four ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    struct line line;
    char *rest = content, *text;
    if (!file_is_asked_first() || !read_file("/etc/hosts")) {
        return false;
    }
    while ((text = next_line(&rest)) != NULL) {
        if (parse(text, &line) && line.family == address->sa_family &&
            memcmp(line.address, bytes, size) == 0 && next_word(&line.names) != NULL) {
            return true;
        }
    }
    return false;
}
