/* SPDX-License-Identifier: MIT
 *
 * The one runtime: a Lua state, an event loop and what the subsystems keep between ticks. Each
 * struct below is owned by the file it is named after; nobody else writes to it.
 */
#ifndef LARIAT_RUNTIME_H
#define LARIAT_RUNTIME_H

#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <uv.h>

#include "clock.h"
#include "task.h"

#define SHARED_SIZE (64 * 1024)

struct driver;
union output_block;
struct socket;
struct world;

struct scheduler {
    struct list ready;      /* tasks that were woken: they run in this tick */
    struct list later;      /* tasks that gave their turn away: they run in the next */
    struct task *all;       /* every task that has not ended */
    struct task *current;   /* the one whose coroutine runs, or NULL */
    struct scope *scope;    /* the innermost one the running coroutine is in */
    size_t live;            /* length of `all` */
    size_t sources;         /* waits, and scopes with waits inside, that something else than a task
                               can end: the kernel, or a deadline */
    int budget;             /* what the current task may still do this turn */
    size_t unjoined_errors; /* reported errors nobody has joined since */
    bool running;           /* inside task_run_ready */
    bool parking;           /* the yield under way is the runtime's own */
    bool stopping;          /* the current task is being closed: see interrupt.c */
    bool pinned;            /* a resume further out cannot be suspended */
};

struct sockets {
    struct socket *all;    /* every open or draining socket */
    size_t open;           /* length of `all` */
    struct socket **dirty; /* sockets with corked output */
    size_t dirty_count, dirty_capacity;
    size_t parted, parted_end; /* the newest of these whose tasks wait for input: see output.c */
    struct socket *dead;       /* closed ones, freed at the end of the tick */
    struct socket *lent;       /* whose input lies in `shared` */
    uint64_t selections;       /* lists that select has gone through so far */
    size_t draining;           /* closed sockets that still send */
    uint64_t tick;             /* when this tick began, for the bound on corking */
    union output_block *free_blocks;
    size_t free_count;
    char *shared; /* one receive buffer for everybody: SHARED_SIZE bytes */
};

struct runtime {
    lua_State *L; /* the main state: owns everything, runs no user code itself */
    uv_loop_t loop;
    const struct driver *driver;
    struct clock clock;
    struct scheduler tasks;
    const struct world *world; /* a simulated one, in which time is virtual; NULL: the real one */
    struct scheduler *outer; /* of the real world, set aside while another is installed; or NULL */
    struct clock *outer_clock; /* the real world's, likewise */
    struct sockets sockets;
    bool loop_open;
    bool closing;             /* teardown has begun: nothing new may start */
    bool exiting;             /* os.exit was called, or the main script failed */
    bool exact;               /* the state does the same in every process: see exact.c */
    int status;               /* exit status so far */
    size_t lookups;           /* name lookups in flight */
    struct task *on_deadlock; /* told of a deadlock instead of ending the program */
    struct task *exit_caller; /* it called os.exit, which does not return */
    uint64_t unwound_by;      /* teardown: when the tasks have had their time; 0: not yet */
    struct rlimit limits;     /* of descriptors, found at the start: children get them back */
    bool status_chosen;       /* by os.exit: errors that nobody joined do not change it */
    bool exact_places; /* accepted sockets remember their own line: under --test, after a dump */
    bool interactive;  /* there is a prompt: errors told there do not decide the exit status */
    lua_State *volatile running;       /* innermost running coroutine: set by hook_running() */
    volatile sig_atomic_t hooked;      /* see hook.h: tell it when another one runs */
    volatile sig_atomic_t interrupted; /* signal number of a SIGINT, SIGTERM, SIGPIPE to die by */
    volatile sig_atomic_t writing; /* a write that answers EPIPE itself: its SIGPIPE says no more */
};

extern struct runtime rt;

/* Tells this tick from others, nearly always. */
static inline unsigned char runtime_tick_stamp(void) {
    return (unsigned char)(rt.sockets.tick >> 10);
}

void runtime_open(lua_State *L); /* with a state that was made for it; NULL: with one of its own */
void runtime_tick(void);         /* run what is ready, flush, free */
void runtime_run(void);          /* until every task has ended or an exit was asked for */
/* Cancel, close, drain, free; returns the exit status. `close_handles` is called before the state is
 * closed: what else holds handles of the loop lets them go. */
int runtime_close(void (*close_handles)(void));
bool runtime_is_overdue(void); /* teardown: tasks get no more turns */
void runtime_exit(int status); /* ask the loop to end; tasks are unwound by runtime_close */

/* Memory that is not Lua's. Where a script can be told that there is none, the call asks by
 * runtime_try and fails, with runtime_no_memory or an error of its own; where nobody can, it asks by
 * runtime_alloc, and the process ends with a message. Before either, Lua's garbage is collected. */
void *runtime_try(void *block, size_t size); /* as realloc; NULL: `block` stays as it is */
void *runtime_try_zeroed(size_t size);       /* what of it is never touched takes no memory */
void *runtime_try_take(size_t size);         /* small ones, of which there may be very many */
void runtime_give_back(void *block, size_t size);
bool runtime_collect(void); /* Lua's garbage, without its finalizers; false: it could not */
int runtime_no_memory(lua_State *L); /* raises Lua's memory error */
#define NO_MEMORY (-1000000)         /* a result instead of -errno: the caller raises it */
void *runtime_alloc(size_t size);
void *runtime_realloc(void *block, size_t size);
void runtime_free(void *block);
void *runtime_checked(void *block, size_t size); /* the block, if there is one */

#endif
