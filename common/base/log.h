// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Logging for the one who must act: error = act now, warning = degraded and what happens next,
// info = one line per lesson or viewer event, debug = for developers. Never per packet, never a
// token, never a pupil's name.
typedef enum { TK_LOG_ERROR, TK_LOG_WARNING, TK_LOG_INFO, TK_LOG_DEBUG } TkLogLevel;

// Fields that a line may carry beside its sentence; NULL leaves one out. All borrowed for the call.
typedef struct {
    const char *lesson; // lesson name or id
    const char *stream; // stream name
    const char *peer;   // address of the other side
    const char *reason; // stable word
} TkLogFields;

// Call once at the start of main(). `program` is borrowed for ever. The level comes from
// $TONGKE_LOG (error|warning|info|debug; default info), the form from $TONGKE_LOG_FORMAT
// (text|json; default: the journal's native protocol when stderr is the journal, else text).
// Also takes over g_log, so that libraries' messages come out in the same form.
void tk_log_init(const char *program);

// Whether lines of `level` are written at all. Thread-safe.
gboolean tk_log_enabled(TkLogLevel level);

// Writes one line. `fields` may be NULL. Thread-safe; a line is written with one system call.
void tk_log(TkLogLevel level, const TkLogFields *fields, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

#define tk_error(...) tk_log(TK_LOG_ERROR, NULL, __VA_ARGS__)
#define tk_warning(...) tk_log(TK_LOG_WARNING, NULL, __VA_ARGS__)
#define tk_info(...) tk_log(TK_LOG_INFO, NULL, __VA_ARGS__)
#define tk_debug(...) tk_log(TK_LOG_DEBUG, NULL, __VA_ARGS__)
