/* SPDX-License-Identifier: MIT
 *
 * Line editing for the prompt of lariat -i: GNU readline's callback interface, called by a task that
 * waits for standard input, so that editing a line suspends only the task that reads.
 *
 * The terminal is readline's while a line is edited. Invariant: whatever ends the editing (a line, the
 * end of input, an error raised by the wait, a signal, the end of the program) passes through
 * finish(), which gives the terminal back as it was. Code that runs between two lines finds the
 * terminal unchanged.
 *
 * Descriptor 0 may be shared with other processes, so it is not made non-blocking; src/kernel/file.c
 * watches it as it is. Readline's own signal handlers are off: it would install them only while one of
 * its functions runs, and mostly none does. SIGINT and SIGTERM are handled as everywhere
 * (src/loop/interrupt.c); the other signals are reported by libuv.
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
#define KEYS_PER_TURN 1024 /* of pasted text; then other tasks run */

/* Arguments of read(). */
enum { PROMPT = 1, COMPLETER };

static const int watched_signals[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGQUIT, SIGHUP};

#define SIGNALS (sizeof(watched_signals) / sizeof(*watched_signals))

static struct {
    bool open;       /* readline has been set up */
    bool editing;    /* the terminal is readline's */
    bool ended;      /* the line has been entered: `line` is set */
    bool hidden;     /* the line is wiped off the screen, for other output */
    bool unfinished; /* that output did not end with a newline */
    char *line;      /* allocated by readline; NULL: end of input */
    char *history;   /* the file that new entries are appended to, or NULL */
    lua_State *L;    /* the reading task's, while a function of readline runs */
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

/* Drops the line being edited, and moves the cursor to a new line for the next output. */
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

/* aside(unfinished) -> was a line being edited? If so it is wiped off the screen, so that the caller
 * can print, and drawn again when the tasks that are ready now have run. `unfinished`: the output will
 * not end with a newline. */
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

/* Takes the signal's default action, unless a script waits for the same signal. After a signal that
 * stops the process this goes on when the process is continued. */
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

/* Handles the signals, but those that the parent process has set to be ignored (nohup). */
static void watch_signals(void) {
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction action;
        int number = watched_signals[i];
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
            uv_signal_start(&edit.signals[i], on_signal, number);
        }
    }
}

/* ---- completion: by a Lua function, whose errors mean that there are no matches ---- */

/* (completer, word) -> whatever the completer returns */
static int call_completer(lua_State *L) {
    const char *word = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushstring(L, word);
    lua_call(L, 1, 1);
    return 1;
}

/* For rl_completion_matches(): the next string of the list on top of edit.L, or NULL at its end. */
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
    *gnu.rl_attempted_completion_over = 1;      /* do not complete file names */
    *gnu.rl_completion_append_character = '\0'; /* readline sets it to a space before each call */
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

/* Loads readline, or raises: every function that needs it calls this first. */
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
    /* Readline must not block the program by reading keys itself, whatever ~/.inputrc says: no question
     * before a long list of completions, no pager for it, a short wait after Escape. */
    gnu.rl_variable_bind("completion-query-items", "0");
    gnu.rl_variable_bind("page-completions", "off");
    gnu.rl_variable_bind("keyseq-timeout", "50"); /* ms */
}

static void begin(const char *prompt) {
    open_once();
    free(edit.line);
    edit.line = NULL;
    edit.ended = edit.hidden = edit.unfinished = false;
    edit.editing = true;
    *gnu.rl_eof_found = 0; /* left from the line before, it would end this one at once */
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

/* read(prompt [, completer]) -> a line, or nil at the end of input. completer(word) returns a list of
 * the words that may replace it. */
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

/* history(path) -> could the file be opened? Loads the history from it, and appends new lines to it
 * from now on. */
static int fn_history(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    load(L);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    lua_pushboolean(L, fd >= 0);
    if (fd < 0) {
        return 1;
    }
    close(fd);
    *gnu.history_comment_char = '#'; /* marks timestamps, which separate entries of several lines */
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

/* remember(line): adds it to the history and to its file, unless it equals the last entry. */
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

/* The reading task may have been dropped without being resumed, so a line may still be edited. */
void readline_close(void) {
    abandon(false);
    free(edit.line);
    free(edit.history);
    edit.line = edit.history = NULL;
}
