/* SPDX-License-Identifier: MIT
 *
 * The socket object, and what the files of src/net share of it.
 *
 * Invariant: Lua owns a box that holds one pointer; the runtime owns the struct. Closing empties the
 * box, wakes the waiters with "closed", stops the watch and closes the descriptor; the struct is freed
 * at the end of the tick, or of a later one if a task has yet to leave its queues.
 */
#ifndef LARIAT_SOCKET_H
#define LARIAT_SOCKET_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "kernel/watch.h"
#include "net/op.h"

/* LuaSocket's classes: one metatable each, all classes of a family with the same methods. */
enum __attribute__((packed)) socket_class {
    TCP_MASTER,
    TCP_CLIENT,
    TCP_SERVER,
    UNIX_MASTER,
    UNIX_CLIENT,
    UNIX_SERVER,
    UDP_UNCONNECTED,
    UDP_CONNECTED,
    UNIX_DGRAM_UNCONNECTED,
    UNIX_DGRAM_CONNECTED,
    FILE_STREAM,
    SOCKET_CLASSES,
};

#define CLASS(c) (1u << (c))
#define ANY_TCP (CLASS(TCP_MASTER) | CLASS(TCP_CLIENT) | CLASS(TCP_SERVER))
#define ANY_UNIX (CLASS(UNIX_MASTER) | CLASS(UNIX_CLIENT) | CLASS(UNIX_SERVER))
#define ANY_MASTER (CLASS(TCP_MASTER) | CLASS(UNIX_MASTER))
#define ANY_SERVER (CLASS(TCP_SERVER) | CLASS(UNIX_SERVER))
#define ANY_STREAM (CLASS(TCP_CLIENT) | CLASS(UNIX_CLIENT) | CLASS(FILE_STREAM))
#define ANY_UDP (CLASS(UDP_UNCONNECTED) | CLASS(UDP_CONNECTED))
#define ANY_UNIX_DGRAM (CLASS(UNIX_DGRAM_UNCONNECTED) | CLASS(UNIX_DGRAM_CONNECTED))
#define ANY_DGRAM (ANY_UDP | ANY_UNIX_DGRAM)
#define ANY_SOCKET (CLASS(SOCKET_CLASSES) - 1)

/* Input received and not yet taken: base[begin, end). base is the socket's own memory, or the shared
 * receive buffer while that is lent to this socket (sockets.lent). */
struct input {
    char *base;
    char *own;
    size_t capacity; /* of own */
    size_t begin, end;
};

/* Output not yet taken by the kernel. */
struct output {
    union output_block *block; /* NULL: nothing pending */
    unsigned size;             /* bytes in it */
    short error;               /* errno of a flush: reported by the next send or flush */
    bool corked : 1;           /* in the dirty list */
    bool blocked : 1;          /* the kernel refused more: wait for writable */
    bool immediate : 1;        /* setoption("cork", false) */
    bool ended : 1;            /* the script has shut the sending side */
    bool shutdown : 1;         /* call shutdown(SHUT_WR) once the block is empty */
    bool told : 1;             /* the error has been reported already */
    bool wrote : 1;   /* bytes have gone out, by us or perhaps by others that have the descriptor */
    bool lingers : 1; /* SO_LINGER was set, by us or perhaps by others that have the descriptor */
};

struct datagrams;    /* a received batch: datagram.c */
struct drain;        /* a closed socket that still sends: drain.c */
struct saved_option; /* an option for descriptors to come: initial_options.c */

/* The members that every message uses come first: with thousands of sockets most of a message's time
 * goes to cache misses. The order leaves no holes. */
struct socket {
    struct watch watch; /* first: the descriptor and who waits for it */
    struct input in;
    struct output out;
    struct socket_box *box; /* NULL once closed */
    size_t max_receive;     /* 0: no limit */
    bool eof;               /* the peer has ended its side */
    bool connecting;        /* connect() is under way */
    bool bound : 1;         /* bind() has given it a local address */
    bool selected : 1;      /* in the list that a select looks through just now */
    bool connected;         /* known to be: output may be corked (not after eof) */
    bool closed;
    unsigned char standard; /* 1 + the standard descriptor it stands for; 0: none */
    enum socket_class class;
    unsigned char received_in; /* the tick of the last receive, by 8 of its bits */
    sa_family_t family;        /* AF_UNSPEC until known */
    uint16_t usual;            /* bytes that came and were taken at once; less than SHARED_SIZE */
    unsigned domain;           /* of the task that made it: dumps show the sockets of one domain */
    struct socket *all_prev;   /* among the open and draining ones */
    struct socket *all_next;   /* among the same, or among the dead */
    union {
        struct datagrams *batch;   /* of datagrams */
        struct location accept_at; /* of servers: the script's line that accepts */
        struct list pipes;         /* of streams: their other ends' pipes, which its close ends */
    };
    union {
        struct saved_option *options; /* until it is closed: see options.c */
        struct drain *drain;          /* closed by the script, still sending; or NULL */
    };
    struct location made_at; /* the script's line that made it */
};

/* The box holds what scripts can ask and set also when the socket is closed. */
struct socket_box {
    const char *mark;        /* tells a box from other userdata, and its class: class.c */
    struct socket *socket;   /* NULL once closed */
    double born;             /* clock_now() in seconds, for getstats */
    uint64_t received, sent; /* bytes; setstats leaves `received` as it is, for peek and skip */
    struct timeout timeout;
};

#define SHARED_SIZE (64 * 1024)

union output_block;

struct sockets {
    struct socket *all;    /* every open or draining socket */
    size_t open;           /* length of `all` */
    struct socket **dirty; /* sockets with corked output */
    size_t dirty_count, dirty_capacity;
    size_t parted, parted_end; /* the newest of these whose tasks wait for input: see output.c */
    struct socket *dead;       /* closed ones, freed at the end of the tick */
    struct socket *lent;       /* the socket whose input lies in `shared`, or NULL */
    size_t draining;           /* closed sockets that still send */
    union output_block *free_blocks;
    size_t free_count;
    bool exact_locations; /* accepted sockets remember their own line: under --test, after a dump */
    char *shared;         /* one receive buffer for everybody: SHARED_SIZE bytes */
};

extern struct sockets sockets;

/* ---- objects ---- */
struct socket_methods {
    unsigned classes; /* that have them; 0 ends the table */
    const luaL_Reg *methods;
};
void classes_open(
    const struct socket_methods *rows); /* the methods of every class; the table is kept */
extern const luaL_Reg socket_shared_methods[];
/* Make a socket without a descriptor, and push its box; raise for want of memory, or when the runtime is
 * closing. `at`: the script's line that made it; socket_new takes the line that is running. */
struct socket *socket_new(lua_State *L, enum socket_class class, int family);
struct socket *socket_new_at(lua_State *L, enum socket_class class, int family, struct location at);
/* Gives it a descriptor with its options set, unless it has one: 0 or -errno. */
int socket_create_descriptor(struct socket *s, int family);
void socket_adopt(struct socket *s, int fd); /* which had no descriptor */
struct socket_box *socket_push_box(lua_State *L, enum socket_class class); /* without a socket */
bool socket_awaited(const struct socket *s); /* does a task wait for it? */
/* The address of its peer, also once that has reset the connection; false: it has none. */
bool socket_peer(const struct socket *s, struct address *a);
enum socket_class socket_class(const struct socket_box *box);
/* Changes the class of the open socket at an index. */
void socket_become(lua_State *L, int index, enum socket_class class);
const char *socket_class_name(enum socket_class class); /* "tcp{client}", ... */

/* The socket at index 1, which must be of one of the classes (a sum of CLASS()), else an error is raised
 * that names the `role`, "client" of "tcp{client}". NULL: it is closed. */
struct socket *socket_check(lua_State *L, unsigned classes, const char *role);
struct socket_box *socket_check_any(lua_State *L); /* at index 1, open or closed; else raises */
struct socket_box *socket_test(lua_State *L, int index); /* NULL: the value is no socket */

/* ---- closing ---- */
void socket_close(struct socket *s); /* once or more; never waits, never raises */
void socket_abort(struct socket *s); /* the same, but what it has yet to send is lost */
void socket_bury(
    struct socket *s);          /* closes the descriptor; the struct goes at the end of the tick */
void sockets_free_dead(void);   /* at the end of a tick */
void sockets_close_all(void);   /* closes every socket; drains go on, with less time */
void sockets_force_close(void); /* ends all drains */
void sockets_close(void);       /* frees what they shared */
void accept_close_orphan(void); /* closes an accepted connection that no object could be made for */

/* ---- drains: a closed socket's output is delivered in the background (drain.c) ---- */
/* Begins to drain a socket that is being closed, unless `at_once`. False: there is nothing to deliver or
 * nothing can be delivered; the caller buries the socket. */
bool drain_start(struct socket *s, const struct socket_box *box, bool at_once);
/* Its block was written, with the result of output_flush(): goes on, or ends and buries the socket. */
void drain_flushed(struct socket *s, int err);
void drains_open(void);             /* once, at the start */
void drain_hurry(struct socket *s); /* the program ends: it may discard input for less time */
void drain_abort(struct socket *s); /* ends its drain, if it has one, and buries it */
/* Bytes received and sent so far, also of a socket that is draining. */
void drain_traffic(const struct socket *s, uint64_t *received, uint64_t *sent);

/* ---- output: bytes that are held back until the end of the tick (output.c) ---- */
#define OUTPUT_HIGH_WATER (64 * 1024) /* bytes that a socket holds back at most */
#define OUTPUT_DIRECT (8 * 1024)      /* bytes from which on they are not held back */
/* Holds bytes back, all or none. False: they do not fit, or must not be held back; use output_write().
 * If the tick has lasted long, all output is flushed. */
bool output_cork(struct socket *s, const char *data, size_t size);
/* The same for several pieces, `size` bytes together, of which all go or none. */
bool output_cork_pieces(struct socket *s, const struct iovec *pieces, size_t count, size_t size);
/* Writes what is held back and then `data`; what the kernel does not take is held back, as far as it
 * fits. Adds to `sent` how many bytes of data have been taken. 0: all; -EAGAIN: wait until the socket is
 * writable; or -errno, which the socket keeps. */
int output_write(struct socket *s, const char *data, size_t size, size_t *sent);
/* The same, but holds nothing back: `sent` counts what the kernel has taken. */
int output_through(struct socket *s, const char *data, size_t size, size_t *sent);
int output_flush(struct socket *s);    /* 0: all sent, -EAGAIN, or -errno */
void output_discard(struct socket *s); /* drops what is held back */
void outputs_open(void);               /* once, at the start */
void outputs_flush(void);              /* every corked socket, and the batch of datagrams */
void output_part(void);                /* the newest corked socket's task waits for input */
void outputs_free_blocks(void);        /* at the end */

/* ---- input: bytes received and not yet taken (input.c) ---- */
/* Receives once, `wanted` bytes or more if they have come (0: as many as is usual). Returns how many,
 * 0 at the end of the stream, -errno, or NO_MEMORY. Charges the task's turn. */
ssize_t input_fill(struct socket *s, size_t wanted);
/* The same for a socket without input: the kernel moves `moved` bytes to the socket `to`, and only what
 * `to` does not take becomes input. -EOPNOTSUPP: these two sockets cannot do that. */
ssize_t input_forward(struct socket *s, struct socket *to, size_t *moved);
/* Takes `size` bytes, at most input_size(); they can be read until input_fill() or input_trim(). */
const char *input_take(struct socket *s, size_t size);
/* Undoes the last take, after which nothing has happened to the input. */
void input_untake(struct socket *s, size_t size);
/* Takes `size` bytes and pushes them as a string, if their memory can become the string; else false, and
 * nothing has happened. */
bool input_push(lua_State *L, struct socket *s, size_t size);
void input_trim(struct socket *s);    /* after a take: an empty buffer is given back */
void input_discard(struct socket *s); /* drops all of it */
static inline size_t input_size(const struct socket *s) {
    return s->in.end - s->in.begin;
}
static inline const char *input_data(const struct socket *s) {
    return s->in.base + s->in.begin;
}

static inline int socket_type(const struct socket *s) { /* SOCK_STREAM or SOCK_DGRAM */
    return CLASS(s->class) & ANY_DGRAM ? SOCK_DGRAM : SOCK_STREAM;
}

/* The running task will wait for input from `s`. If nobody has corked another socket since this one, it
 * most likely has said all that it has to say, and need not wait for the end of the tick. */
static inline void output_parting(const struct socket *s) {
    size_t count = sockets.dirty_count;
    if (count > 0 && sockets.dirty[count - 1] == s) {
        output_part();
    }
}

/* ---- what its box keeps; a closed one has none ---- */
static inline void socket_count_received(struct socket *s, size_t size) {
    if (s->box != NULL) {
        s->box->received += size;
    }
}
static inline void socket_count_sent(struct socket *s, size_t size) {
    if (s->box != NULL) {
        s->box->sent += size;
    }
}
static inline struct drain *socket_drain(const struct socket *s) {
    return s->closed ? s->drain : NULL;
}
static inline const struct timeout *socket_timeout(const struct socket *s) {
    static const struct timeout none = {-1, -1};
    return s->box != NULL ? &s->box->timeout : &none;
}

#endif
