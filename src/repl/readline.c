/* SPDX-License-Identifier: MIT
 *
 * Line editing for the prompt of lariat -i: GNU readline's callback interface under a task's wait,
 * so that typing suspends only the task that reads.
 *
 * Owns the terminal while a line is edited. Invariant: whatever ends the editing (a line, the end of
 * input, an error raised by the wait, a signal, the end of the program) passes through finish(),
 * which gives the terminal back as it was; code that runs between two lines finds it untouched.
 *
 * Descriptor 0 is watched as the shared thing it is (driver_file.c): it is not made non-blocking.
 * Readline's own signal handlers are off: it would install them for the time it reads only, and
 * most of the time nobody reads. SIGINT and SIGTERM reach the task as ever, libuv reports the rest.
 */
#include "repl/readline.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/state.h"
#include "kernel/file.h"
#include "kernel/watch.h"
#include "repl/libreadline.h"
#include "task/task.h"

#define HISTORY_LINES 1000
#define KEYS_PER_TURN 1024 /* of pasted text, then other tasks have their turn */

/* Arguments of read(). */
enum { PROMPT = 1, COMPLETER };

static const int watched_signals[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT, SIGHUP};

#define SIGNALS (sizeof(watched_signals) / sizeof(*watched_signals))

static struct {
    bool open;       /* readline has been set up */
    bool editing;    /* the terminal is readline's */
    bool ended;      /* the line has been entered: `line` is set */
    bool hidden;     /* wiped off the screen, for other output */
    bool unfinished; /* that output ended within a line */
    char *line;      /* readline's memory; NULL: end of input */
    char *history;   /* file for new entries, or NULL */
    lua_State *L;    /* the reading task, while readline runs */
    struct watch input;
    uv_signal_t signals[SIGNALS];
} edit;

/* ---- the end of a line ---- */

static void finish(void) {
    if (!edit.editing) {
        return;
    }
    edit.editing = false;
    edit.hidden = false;
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_stop(&edit.signals[i]);
    }
    watch_stop(&edit.input);
    gnu.rl_callback_handler_remove();
    fflush(*gnu.rl_outstream);
}

static void on_line(char *line) {
    edit.line = line;
    edit.ended = true;
    finish();
}

/* Drops what was typed; what is printed next starts on a line of its own. */
static void abandon(bool interrupted) {
    if (!edit.editing) {
        return;
    }
    gnu.rl_callback_sigcleanup();
    if (!edit.hidden) {
        *gnu.rl_point = *gnu.rl_end;
        gnu.rl_redisplay();
        fputs(interrupted ? "^C\n" : "\n", *gnu.rl_outstream);
    }
    gnu.rl_free_line_state();
    gnu.rl_cleanup_after_signal();
    finish();
}

/* ---- other output while a line is edited ---- */

static void hide(void) {
    if (!edit.hidden) {
        gnu.rl_clear_visible_line();
        fflush(*gnu.rl_outstream);
        edit.hidden = true;
    }
}

static void show(void) {
    if (edit.hidden) {
        if (edit.unfinished) {
            putc('\n', *gnu.rl_outstream);
        }
        edit.hidden = edit.unfinished = false;
        gnu.rl_forced_update_display();
    }
}

/* aside(unfinished) -> whether a line was in the way of output, which will not end its own line if
 * `unfinished`. The line is drawn again when the tasks that are ready now have run. */
static int fn_aside(lua_State *L) {
    lua_pushboolean(L, edit.editing);
    if (edit.editing) {
        hide();
        edit.unfinished = lua_toboolean(L, 1);
        waitq_wake_first(&edit.input.readers, WAKE_READY);
    }
    return 1;
}

/* ---- signals ---- */

/* Lets the default action happen, unless a script waits for the same signal. What stops the process
 * returns here when it goes on. */
static void take_default_action(uv_signal_t *handle, int number) {
    struct sigaction action;
    uv_signal_cb callback = handle->signal_cb;
    uv_signal_stop(handle);
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        raise(number);
    }
    uv_signal_start(handle, callback, number);
}

static void on_signal(uv_signal_t *handle, int number) {
    if (!edit.editing) {
        return;
    }
    if (number == SIGWINCH) {
        gnu.rl_resize_terminal();
        return;
    }
    gnu.rl_cleanup_after_signal();
    fflush(*gnu.rl_outstream);
    if (number != SIGCONT) {
        take_default_action(handle, number);
    }
    gnu.rl_reset_after_signal();
    if (number == SIGCONT) {
        fputc('\r', *gnu.rl_outstream);
        gnu.rl_forced_update_display();
    }
}

/* What the parent chose to ignore (nohup) stays ignored. */
static void watch_signals(void) {
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction action;
        int number = watched_signals[i];
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            uv_signal_start(&edit.signals[i], on_signal, number);
        }
    }
}

/* ---- completion: the completer is Lua, and may fail without harm ---- */

/* (completer, word) -> whatever the completer returns */
static int call_completer(lua_State *L) {
    const char *word = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushstring(L, word);
    lua_call(L, 1, 1);
    return 1;
}

/* The matches are the list on top of the stack. */
static char *next_match(const char *word, int again) {
    static lua_Integer next;
    char *match = NULL;
    (void)word;
    next = again ? next + 1 : 1;
    if (lua_rawgeti(edit.L, -1, next) == LUA_TSTRING) {
        match = strdup(lua_tostring(edit.L, -1));
    }
    lua_pop(edit.L, 1);
    return match;
}

static char **complete(const char *word, int start, int end) {
    lua_State *L = edit.L;
    int top = lua_gettop(L);
    char **matches = NULL;
    (void)start, (void)end;
    *gnu.rl_attempted_completion_over = 1;      /* no names of files */
    *gnu.rl_completion_append_character = '\0'; /* readline has just set it to a space */
    if (!lua_isfunction(L, COMPLETER) || !lua_checkstack(L, 8)) {
        return NULL;
    }
    lua_pushcfunction(L, call_completer);
    lua_pushvalue(L, COMPLETER);
    lua_pushlightuserdata(L, (void *)(uintptr_t)word);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK && lua_istable(L, -1)) {
        matches = gnu.rl_completion_matches(word, next_match);
    }
    lua_settop(L, top);
    return matches;
}

/* ---- reading a line ---- */

/* What needs readline begins here: raises if there is none. */
static void load(lua_State *L) {
    const char *why = libreadline_load();
    if (why != NULL) {
        luaL_error(L, "editing lines needs GNU readline, which cannot be loaded: %s", why);
    }
}

static void open_once(void) {
    if (edit.open) {
        return;
    }
    edit.open = true;
    for (size_t i = 0; i < SIGNALS; i++) {
        uv_signal_init(&rt.loop, &edit.signals[i]);
        uv_unref((uv_handle_t *)&edit.signals[i]);
    }
    watch_init(&edit.input, &driver_standard_shared, STDIN_FILENO);
    *gnu.rl_readline_name = "lariat";
    *gnu.rl_catch_signals = 0;
    *gnu.rl_catch_sigwinch = 0;
    *gnu.rl_attempted_completion_function = complete;
    *gnu.rl_completer_word_break_characters = " \t\n\"\\'`@$><=;|&{}()[]+-*/%^#~,?!";
    gnu.rl_initialize();
    /* Where readline would wait by itself, whatever ~/.inputrc says: it must not, or not for long. */
    gnu.rl_variable_bind("completion-query-items", "0");
    gnu.rl_variable_bind("page-completions", "off");
    gnu.rl_variable_bind("keyseq-timeout", "50"); /* ms, after an Escape in vi mode */
}

static void begin(const char *prompt) {
    open_once();
    free(edit.line);
    edit.line = NULL;
    edit.ended = edit.hidden = edit.unfinished = false;
    edit.editing = true;
    *gnu.rl_eof_found = 0; /* of the line before: it would end this one with an empty line */
    fflush(stdout);
    gnu.rl_callback_handler_install(prompt, on_line);
    watch_signals();
}

static bool key_waits(void) {
    struct pollfd one = {.fd = STDIN_FILENO, .events = POLLIN};
    return edit.input.driver->poll(&one, 1) > 0;
}

static int typed(lua_State *L, int status, lua_KContext ctx);

static int wait_for_keys(lua_State *L) {
    int err = watch_arm(&edit.input, POLLIN);
    if (err < 0) {
        abandon(false);
        return luaL_error(L, "cannot wait for the terminal: %s", strerror(-err));
    }
    struct task *task = scheduler.current;
    waitq_join(&edit.input.readers, &task->interest, task, false);
    return task_park(L, "readline", NEVER, true, 0, typed);
}

static int typed(lua_State *L, int status, lua_KContext ctx) {
    (void)status, (void)ctx;
    if (task_resumed() == WAKE_CANCELLED) {
        abandon(scheduler.current->interrupted);
        return task_raise(L);
    }
    if (edit.editing) {
        show();
        edit.L = L;
        for (int keys = 0; !edit.ended && keys < KEYS_PER_TURN && key_waits(); keys++) {
            gnu.rl_callback_read_char();
        }
        edit.L = NULL;
    }
    if (!edit.ended) {
        return wait_for_keys(L);
    }
    lua_pushstring(L, edit.line); /* nil for NULL */
    return 1;
}

/* read(prompt [, completer]) -> a line, or nil at the end of input. completer(word) returns a list
 * of words that it may become. */
static int fn_read(lua_State *L) {
    const char *prompt = luaL_checkstring(L, PROMPT);
    lua_settop(L, COMPLETER);
    if (edit.editing) {
        return luaL_error(L, "another task edits a line");
    }
    load(L);
    task_prepare(L, "readline");
    begin(prompt);
    return wait_for_keys(L);
}

/* ---- history ---- */

/* history(path) -> whether lines are kept there: loads it, and appends to it from now on */
static int fn_history(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    load(L);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    lua_pushboolean(L, fd >= 0);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    *gnu.history_comment_char = '#'; /* times, which tell where an entry of several lines ends */
    *gnu.history_write_timestamps = 1;
    *gnu.history_multiline_entries = 1;
    gnu.history_truncate_file(path, HISTORY_LINES);
    gnu.read_history(path);
    gnu.stifle_history(HISTORY_LINES);
    free(edit.history);
    edit.history = strdup(path);
    return 1;
}

static const char *last_remembered(void) {
    int last = *gnu.history_base + *gnu.history_length - 1;
    return *gnu.history_length > 0 ? gnu.history_get(last)->line : "";
}

/* remember(line): for the arrow keys, and for the next session; the same again counts once */
static int fn_remember(lua_State *L) {
    const char *line = luaL_checkstring(L, 1);
    load(L);
    if (strcmp(last_remembered(), line) == 0) {
        return 0;
    }
    gnu.add_history(line);
    if (edit.history != NULL) {
        gnu.append_history(1, edit.history);
    }
    return 0;
}

int readline_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"read", fn_read},
                                         {"aside", fn_aside},
                                         {"history", fn_history},
                                         {"remember", fn_remember},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}

/* The reading task was closed without running, or never got that far. */
void readline_close(void) {
    abandon(false);
    free(edit.line);
    free(edit.history);
    edit.line = edit.history = NULL;
}
