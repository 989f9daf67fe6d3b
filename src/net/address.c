/* SPDX-License-Identifier: MIT
 *
 * Addresses: numeric text, wildcards, ports and unix paths.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

const char *address_family_name(int family) {
    switch (family) {
    case AF_INET: return "inet";
    case AF_INET6: return "inet6";
    case AF_UNIX: return "unix";
    case AF_UNSPEC: return "unspec";
    default: return "unknown";
    }
}

int address_check_text(lua_State *L, int index, const char *what, const char **text) {
    size_t size;
    *text = luaL_checklstring(L, index, &size);
    if (strlen(*text) == size) {
        return 0;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "%s contains a zero byte", what);
    return 2;
}

static bool has_control(const char *text) {
    while (*text != '\0' && (unsigned char)*text >= ' ' && *text != 127) {
        text++;
    }
    return *text != '\0';
}

/* Has it one colon, with a number or nothing behind it? (Two colons are in an IPv6 address.) */
static bool has_port(const char *host) {
    const char *colon = strchr(host, ':');
    return colon != NULL && colon[1 + strspn(colon + 1, "0123456789")] == '\0';
}

#define HOST_IS "; a host is a name or an address"

/* Finds the mistakes that people make; anything else is left to the resolver. */
const char *address_host_fault(lua_State *L, const char *host) {
    const char *fault = NULL;
    if (*host == '\0' || has_control(host)) {
        return lua_pushfstring(L, "it %s" HOST_IS,
                               *host ? "contains a control character" : "is empty");
    } else if (strncmp(host, "unix:", 5) == 0) {
        fault = "is a path, for socket.connect, bind and serve only";
    } else if (strstr(host, "://") != NULL) {
        fault = "is a URL" HOST_IS;
    } else if (strchr(host, '/') != NULL) {
        fault = "contains a slash" HOST_IS;
    } else if (strchr(host, ' ') != NULL) {
        fault = "contains a space" HOST_IS;
    } else if (*host == '[') {
        fault = "contains brackets; an address is written without them";
    } else if (has_port(host)) {
        fault = "contains a port, which is an argument of its own";
    }
    return fault ? lua_pushfstring(L, "'%s' %s", host, fault) : NULL;
}

int address_check_host(lua_State *L, const char *host) {
    const char *fault = address_host_fault(L, host);
    if (fault == NULL) {
        return 0;
    }
    lua_pushnil(L);
    lua_pushfstring(L, "host or service not provided, or not known: %s", fault);
    return 2;
}

/* Raises a better message if the port is missing because the host contains it, as "localhost:80". */
static void check_port_given(lua_State *L, int index) {
    bool missing = lua_isnoneornil(L, index) && lua_type(L, index - 1) == LUA_TSTRING;
    const char *fault = missing ? address_host_fault(L, lua_tostring(L, index - 1)) : NULL;
    luaL_argcheck(L, fault == NULL, index - 1, fault);
}

int address_check_port(lua_State *L, int index, int *port) {
    int is_integer;
    lua_Integer n = lua_tointegerx(L, index, &is_integer);
    if (!is_integer) {
        check_port_given(L, index);
        luaL_checkstring(L, index);
        lua_pushnil(L);
        lua_pushliteral(L, "service not supported for socket type");
        return 2;
    }
    if (n < 0 || n > 65535) {
        lua_pushnil(L);
        lua_pushfstring(L, "port %I is out of range (0 to 65535)", n);
        return 2;
    }
    *port = (int)n;
    return 0;
}

void address_set_port(struct address *a, int port) {
    if (a->storage.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)&a->storage)->sin6_port = htons((uint16_t)port);
    } else if (a->storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)&a->storage)->sin_port = htons((uint16_t)port);
    }
}

/* The IPv4 address last read or written. A script that answers what it receives names each peer
 * twice in a row: comparing costs a tenth of converting. */
static struct {
    struct in_addr address;
    char text[INET_ADDRSTRLEN];
} recent = {.text = "0.0.0.0"};

static bool read_ipv4(const char *text, struct in_addr *address) {
    if (strcmp(text, recent.text) != 0) {
        if (inet_pton(AF_INET, text, address) != 1) {
            return false;
        }
        recent.address = *address;
        strcpy(recent.text, text); /* canonical: inet_pton takes no other spelling */
    }
    *address = recent.address;
    return true;
}

/* The plain spellings, which a datagram's destination nearly always has. */
static bool parse_plain(const char *host, int family, struct address *a) {
    struct sockaddr_in *in = (struct sockaddr_in *)&a->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->storage;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (family != AF_INET6 && read_ipv4(host, &ipv4)) {
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = ipv4};
        a->length = sizeof(*in);
        return true;
    }
    if (family != AF_INET && inet_pton(AF_INET6, host, &ipv6) == 1) {
        *in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = ipv6};
        a->length = sizeof(*in6);
        return true;
    }
    return false;
}

/* The other spellings: "127.1", "fe80::1%eth0". */
static bool parse_unusual(const char *host, int family, struct address *a) {
    struct addrinfo hints = {.ai_family = family, .ai_flags = AI_NUMERICHOST}, *info = NULL;
    if (getaddrinfo(host, NULL, &hints, &info) != 0) {
        return false;
    }
    memcpy(&a->storage, info->ai_addr, info->ai_addrlen);
    a->length = info->ai_addrlen;
    freeaddrinfo(info);
    return true;
}

bool address_parse(const char *host, int port, int family, struct address *a) {
    if (family == AF_UNIX || !(parse_plain(host, family, a) || parse_unusual(host, family, a))) {
        return false;
    }
    address_set_port(a, port);
    return true;
}

void address_wildcard(int family, int port, struct address *a) {
    memset(a, 0, sizeof(*a));
    a->storage.ss_family = (sa_family_t)family;
    a->length = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    address_set_port(a, port);
}

int address_unix(const char *path, size_t size, struct address *a) {
    struct sockaddr_un *un = (struct sockaddr_un *)&a->storage;
    memset(a, 0, sizeof(*a));
    if (size >= sizeof(un->sun_path)) {
        return -ENAMETOOLONG;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, size);
    bool named = size > 0 && path[0] != '\0';
    a->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + named);
    return 0;
}

static int push_unix(lua_State *L, const struct address *a) {
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->storage;
    size_t size = a->length - offsetof(struct sockaddr_un, sun_path);
    if (a->length <= offsetof(struct sockaddr_un, sun_path)) {
        lua_pushliteral(L, "");
    } else if (un->sun_path[0] == '\0') {
        lua_pushlstring(L, un->sun_path, size);
    } else {
        lua_pushlstring(L, un->sun_path, strnlen(un->sun_path, size));
    }
    return 1;
}

/* As inet_ntop, whose snprintf took a third of the time of a datagram. */
static const char *write_ipv4(struct in_addr address) {
    const unsigned char *bytes = (const unsigned char *)&address;
    char *text = recent.text;
    if (address.s_addr == recent.address.s_addr) {
        return text;
    }
    recent.address = address;
    for (int i = 0; i < 4; i++) {
        unsigned byte = bytes[i];
        if (byte >= 100) {
            *text++ = (char)('0' + byte / 100);
        }
        if (byte >= 10) {
            *text++ = (char)('0' + byte / 10 % 10);
        }
        *text++ = (char)('0' + byte % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
    return recent.text;
}

static void push_ipv6(lua_State *L, const struct sockaddr_in6 *in6) {
    char text[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
    lua_pushstring(L, inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)));
    if (in6->sin6_scope_id != 0 && if_indextoname(in6->sin6_scope_id, name) != NULL) {
        lua_pushfstring(L, "%s%%%s", text, name);
        lua_remove(L, -2);
    }
}

int address_push_host_port(lua_State *L, const struct address *a) {
    if (a->length == 0) {
        lua_pushliteral(L, ""); /* the sender is a unix socket without a name */
        return 1;
    }
    if (a->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->storage;
        lua_pushstring(
            L,
            write_ipv4(
                in->sin_addr)); /* the same memory each time: Lua finds the string by its address */
        lua_pushinteger(L, ntohs(in->sin_port));
        return 2;
    }
    if (a->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->storage;
        push_ipv6(L, in6);
        lua_pushinteger(L, ntohs(in6->sin6_port));
        return 2;
    }
    return push_unix(L, a);
}

int address_push(lua_State *L, const struct address *a) {
    int n = address_push_host_port(L, a);
    if (n == 2) {
        lua_pushstring(L, address_family_name(a->storage.ss_family));
        n = 3;
    }
    return n;
}

void address_push_text(lua_State *L, const struct address *a) {
    int top = lua_gettop(L);
    int n = address_push_host_port(L, a);
    const char *host = lua_tostring(L, top + 1);
    if (a->storage.ss_family == AF_UNIX || a->length == 0) {
        lua_pushfstring(L, "unix:%s", host != NULL && *host ? host : "(no name)");
    } else if (n == 2) {
        bool six = a->storage.ss_family == AF_INET6;
        lua_pushfstring(L, six ? "[%s]:%d" : "%s:%d", host, (int)lua_tointeger(L, top + 2));
    } else {
        lua_pushnil(L);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

const struct address *address_keep(lua_State *L, const struct address *a) {
    if (a == NULL) {
        return NULL;
    }
    struct address *kept = lua_newuserdatauv(L, sizeof(*kept), 0);
    *kept = *a;
    return kept;
}
