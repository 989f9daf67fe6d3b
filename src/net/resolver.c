/* SPDX-License-Identifier: MIT
 *
 * Lookups that are answered in Lua. A lookup gets a task of its own, which calls the program's
 * function with an answer object, and ends the lookup by `answer` or `fail`. The task belongs to the
 * lookup, not to the scope of whoever waits: abandoning the lookup cancels it.
 *
 * Invariant: an answer object and its lookup know each other until either goes. One that is collected
 * without having been used fails its lookup, so that nobody waits for ever.
 */
#include "net/resolver.h"

#include <lauxlib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/address.h"
#include "net/resolve.h"
#include "base/world.h"
#include "base/state.h"

#define ANSWER_TYPE "lariat.answer"

struct answer {
    struct lookup *lookup; /* NULL: it has been answered, or is gone */
};

/* ---- the program's table ---- */

/* The registry reference to it; LUA_NOREF: there is none yet. */
static int *reference(void) {
    static int outside = LUA_NOREF; /* of all simulations */
    return rt.world != NULL ? rt.world->resolver() : &outside;
}

/* Pushes it, or nil. */
static int push_state(lua_State *L) {
    return lua_rawgeti(L, LUA_REGISTRYINDEX, *reference());
}

/* state() -> the table of this program, made now if there is none */
static int state(lua_State *L) {
    if (push_state(L) != LUA_TTABLE) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        *reference() = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    return 1;
}

bool resolver_in_use(void) {
    bool in_use = false;
    if (!rt.closing && push_state(rt.L) == LUA_TTABLE) {
        in_use = lua_rawgeti(rt.L, -1, 1) == LUA_TFUNCTION;
        lua_pop(rt.L, 1);
    }
    lua_pop(rt.L, rt.closing ? 0 : 1);
    return in_use;
}

/* ---- lookups ---- */

static void finish(struct answer *answer, int err) {
    struct lookup *lookup = answer->lookup;
    answer->lookup = NULL;
    lookup->answer = NULL;
    lookup->task = NULL;
    lookup->err = err;
    lookup->ended(lookup);
}

static int answer_gc(lua_State *L) {
    struct answer *answer = luaL_checkudata(L, 1, ANSWER_TYPE);
    if (answer->lookup != NULL) {
        finish(answer, UV_EAI_AGAIN);
    }
    return 0;
}

/* What is asked for: a name and "inet", "inet6" or nil; or an address and "name". */
static void push_question(lua_State *L, const struct lookup *lookup) {
    if (lookup->reverse) {
        struct address a = {.length = sizeof(lookup->address), .storage = lookup->address};
        lua_pop(L, address_push_host_port(L, &a) - 1);
        lua_pushliteral(L, "name");
    } else if (lookup->hints.ai_family == AF_UNSPEC) {
        lua_pushstring(L, lookup->host);
        lua_pushnil(L);
    } else {
        lua_pushstring(L, lookup->host);
        lua_pushstring(L, address_family_name(lookup->hints.ai_family));
    }
}

/* While it may raise, the lookup is the answer object's: collected, that frees it. The object keeps
 * the task's handle. */
void resolver_begin(lua_State *L, struct lookup *lookup) {
    luaL_checkstack(L, 8, "too many arguments");
    struct answer *answer = lua_newuserdatauv(L, sizeof(*answer), 1);
    *answer = (struct answer){lookup};
    lookup->answer = answer;
    lookup->abandoned = true;
    luaL_setmetatable(L, ANSWER_TYPE);
    push_state(L);
    lua_rawgeti(L, -1, 1);
    lua_replace(L, -2); /* the function */
    lua_pushvalue(L, -2);
    push_question(L, lookup);
    task_spawn(L, 3, "name lookup")->record.quiet = true;
    lookup->task = lua_touserdata(L, -1);
    lua_setiuservalue(L, -2, 1);
    lookup->abandoned = false;
    lua_pop(L, 1);
}

void resolver_abandon(struct lookup *lookup) {
    if (lookup->task != NULL && lookup->task->task != NULL) {
        task_cancel(lookup->task->task);
    }
}

void resolver_forget(struct lookup *lookup) {
    if (lookup->answer != NULL) {
        lookup->answer->lookup = NULL;
    }
}

/* ---- answers ---- */

static struct answer *check_answer(lua_State *L) {
    struct answer *answer = luaL_checkudata(L, 1, ANSWER_TYPE);
    return answer->lookup != NULL ? answer : NULL;
}

/* Adds what getaddrinfo() says of a numeric address, and of the service; 0 or a UV_EAI_* code. */
static int add_address(struct lookup *lookup, const char *text) {
    struct addrinfo hints = lookup->hints, **end = &lookup->result;
    hints.ai_flags = AI_NUMERICHOST;
    while (*end != NULL) {
        end = &(*end)->ai_next;
    }
    switch (getaddrinfo(text, *lookup->service ? lookup->service : NULL, &hints, end)) {
    case 0: return 0;
    case EAI_SERVICE: *end = NULL; return UV_EAI_SERVICE;
    case EAI_ADDRFAMILY: *end = NULL; return UV_EAI_ADDRFAMILY;
    default: *end = NULL; return UV_EAI_NONAME;
    }
}

/* The list of addresses at index 2; those of another family do not count. */
static int take_addresses(lua_State *L, struct lookup *lookup) {
    int err = UV_EAI_NONAME;
    for (lua_Integer i = 1; lua_geti(L, 2, i) == LUA_TSTRING; i++) {
        int failed = add_address(lookup, lua_tostring(L, -1));
        err = failed != 0 ? failed : err;
        lua_pop(L, 1);
    }
    if (lookup->result == NULL) {
        return err;
    }
    if (lookup->hints.ai_flags & AI_CANONNAME) {
        free(lookup->result->ai_canonname);
        lookup->result->ai_canonname = strdup(luaL_optstring(L, 3, lookup->host));
    }
    return 0;
}

/* The name at index 2, or nil: there is none. */
static int take_name(lua_State *L, struct lookup *lookup) {
    const char *name = lua_tostring(L, 2);
    const struct sockaddr *address = (const struct sockaddr *)&lookup->address;
    socklen_t size =
        address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if ((name == NULL && lookup->flags & NI_NAMEREQD) ||
        (name != NULL && strlen(name) >= sizeof(lookup->host))) {
        return UV_EAI_NONAME;
    }
    int flags = (lookup->flags & ~NI_NAMEREQD) | NI_NUMERICHOST;
    if (getnameinfo(address, size, lookup->host, sizeof(lookup->host), lookup->service,
                    sizeof(lookup->service), flags) != 0) {
        return UV_EAI_NONAME;
    }
    if (name != NULL) {
        strcpy(lookup->host, name);
    }
    return 0;
}

/* answer(object, {address, ...} [, canonical name]), or of an address answer(object, name or nil) */
static int answer_lookup(lua_State *L) {
    struct answer *answer = check_answer(L);
    lua_settop(L, 3);
    if (answer != NULL) {
        struct lookup *lookup = answer->lookup;
        finish(answer, lookup->reverse ? take_name(L, lookup) : take_addresses(L, lookup));
    }
    return 0;
}

/* fail(object, "unknown" | "again" | "refused") */
static int fail_lookup(lua_State *L) {
    static const char *const names[] = {"unknown", "again", "refused", NULL};
    static const int codes[] = {UV_EAI_NONAME, UV_EAI_AGAIN, UV_EAI_FAIL};
    struct answer *answer = check_answer(L);
    int code = codes[luaL_checkoption(L, 2, NULL, names)];
    if (answer != NULL) {
        finish(answer, code);
    }
    return 0;
}

/* ---- what a resolver needs besides ---- */

/* random() -> 64 bits that nobody can foresee, unless the world is a simulated one */
static int random_bits(lua_State *L) {
    lua_Integer bits;
    if (rt.world != NULL) {
        bits = (lua_Integer)rt.world->random();
    } else if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
        return luaL_error(L, "the kernel has no random numbers");
    }
    lua_pushinteger(L, bits);
    return 1;
}

static int simulated(lua_State *L) {
    lua_pushboolean(L, rt.world != NULL);
    return 1;
}

int resolver_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"state", state},        {"answer", answer_lookup}, {"fail", fail_lookup},
        {"random", random_bits}, {"simulated", simulated},  {NULL, NULL},
    };
    luaL_newmetatable(L, ANSWER_TYPE);
    lua_pushcfunction(L, answer_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
