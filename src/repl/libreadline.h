/* SPDX-License-Identifier: MIT
 *
 * GNU readline's names, as members of one struct: `gnu.rl_point` is the pointer to rl_point. The
 * library is loaded when a line is edited for the first time. Linking to it was rejected: loading it
 * and the terminal library that it needs took a third of the time of an empty script
 * (bench/startup.c).
 *
 * Invariant: no member is used before libreadline_load() has returned NULL.
 */
#ifndef LARIAT_LIBREADLINE_H
#define LARIAT_LIBREADLINE_H

#include <stdio.h>

#include <readline/history.h>
#include <readline/readline.h>

#define READLINE_NAMES(X)                 \
    X(add_history)                        \
    X(append_history)                     \
    X(history_base)                       \
    X(history_comment_char)               \
    X(history_get)                        \
    X(history_length)                     \
    X(history_multiline_entries)          \
    X(history_truncate_file)              \
    X(history_write_timestamps)           \
    X(read_history)                       \
    X(rl_attempted_completion_function)   \
    X(rl_attempted_completion_over)       \
    X(rl_callback_handler_install)        \
    X(rl_callback_handler_remove)         \
    X(rl_callback_read_char)              \
    X(rl_callback_sigcleanup)             \
    X(rl_catch_signals)                   \
    X(rl_catch_sigwinch)                  \
    X(rl_cleanup_after_signal)            \
    X(rl_clear_visible_line)              \
    X(rl_completer_word_break_characters) \
    X(rl_completion_append_character)     \
    X(rl_completion_matches)              \
    X(rl_end)                             \
    X(rl_eof_found)                       \
    X(rl_forced_update_display)           \
    X(rl_free_line_state)                 \
    X(rl_initialize)                      \
    X(rl_outstream)                       \
    X(rl_point)                           \
    X(rl_readline_name)                   \
    X(rl_redisplay)                       \
    X(rl_reset_after_signal)              \
    X(rl_resize_terminal)                 \
    X(rl_variable_bind)                   \
    X(stifle_history)

#define READLINE_MEMBER(name) __typeof__(name) *name;

struct libreadline {
    READLINE_NAMES(READLINE_MEMBER)
};

extern struct libreadline gnu;

/* Loads the library and fills `gnu`; does nothing if that has been done. NULL, or an error message of
 * dlerror()'s. */
const char *libreadline_load(void);

#endif
