// SPDX-License-Identifier: MIT
#include "common/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"

typedef enum { FORM_TEXT, FORM_JSON, FORM_JOURNAL } Form;

// With time, fields and escapes a line stays under PIPE_BUF in nearly every case, so that lines of
// several processes in one pipe do not mix.
#define MESSAGE_MAX 2000
#define FIELD_MAX 200

// Set once by tk_log_init(), before there are threads; only read afterwards.
static const char *program_name = "tongke";
static TkLogLevel level_max = TK_LOG_INFO;
static Form form = FORM_TEXT;

static const char *const level_words[] = {"error", "warning", "info", "debug"};
// syslog(3)
static const char *const priorities[] = {"3", "4", "6", "7"};

gboolean tk_log_enabled(TkLogLevel level)
{
    return level <= level_max;
}

// Control characters (also of C1 and U+2028/9, which terminals and viewers obey) and bad UTF-8
// become \xNN or \uNNNN, so that nobody's name can forge a line.
static void append_escaped(GString *out, const char *text, gsize max_bytes, const char *also)
{
    const char *end = text + strnlen(text, max_bytes);
    const char *p = text;

    while (p < end) {
        gunichar c = g_utf8_get_char_validated(p, end - p);
        if (c == (gunichar)-2 && *end != '\0')
            break; // max_bytes cut a character in two
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            g_string_append_printf(out, "\\x%02x", (guint8)*p++);
            continue;
        }
        const char *next = g_utf8_next_char(p);
        if (c == 0x2028 || c == 0x2029)
            g_string_append_printf(out, "\\u%04x", c);
        else if (g_unichar_iscntrl(c))
            g_string_append_printf(out, "\\x%02x", c);
        else if (c < 0x80 && also && strchr(also, (char)c))
            g_string_append_printf(out, "\\%c", (char)c);
        else
            g_string_append_len(out, p, next - p);
        p = next;
    }
    if (*end != '\0')
        g_string_append(out, "…");
}

static void write_line(GString *line)
{
    g_string_append_c(line, '\n');
    const char *p = line->str;
    gsize left = line->len;

    while (left > 0) {
        ssize_t written = write(STDERR_FILENO, p, left);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; // nobody to tell
        p += written;
        left -= (gsize)written;
    }
}

static void append_field(GString *out, const char *key, const char *value)
{
    if (!value)
        return;
    gboolean quote = *value == '\0' || strpbrk(value, " \"=") != NULL;
    g_string_append_printf(out, quote ? " %s=\"" : " %s=", key);
    append_escaped(out, value, FIELD_MAX, quote ? "\"\\" : NULL);
    if (quote)
        g_string_append_c(out, '"');
}

static void write_text(TkLogLevel level, const TkLogFields *fields, const char *message)
{
    g_autoptr(GString) line = g_string_new(NULL);
    g_autofree char *time = tk_clock_format_rfc3339(tk_clock_wall_ns());

    g_string_append_printf(line, "%s %s %s: ", time, level_words[level], program_name);
    append_escaped(line, message, MESSAGE_MAX, NULL);
    append_field(line, "lesson", fields->lesson);
    append_field(line, "stream", fields->stream);
    append_field(line, "peer", fields->peer);
    append_field(line, "reason", fields->reason);
    write_line(line);
}

static void set_bounded(json_t *object, const char *key, const char *value, gsize max_bytes)
{
    if (!value)
        return;
    g_autofree char *bounded = g_strndup(value, max_bytes);
    tk_json_set_string(object, key, bounded);
}

static void write_json(TkLogLevel level, const TkLogFields *fields, const char *message)
{
    g_autoptr(json_t) object = json_object();

    tk_json_set_time(object, "time", tk_clock_wall_ns());
    tk_json_set_string(object, "level", level_words[level]);
    tk_json_set_string(object, "program", program_name);
    set_bounded(object, "message", message, MESSAGE_MAX);
    set_bounded(object, "lesson", fields->lesson, FIELD_MAX);
    set_bounded(object, "stream", fields->stream, FIELD_MAX);
    set_bounded(object, "peer", fields->peer, FIELD_MAX);
    set_bounded(object, "reason", fields->reason, FIELD_MAX);
    g_autofree char *text = tk_json_dump(object);
    g_autoptr(GString) line = g_string_new(text);
    write_line(line);
}

static gboolean write_journal(TkLogLevel level, const TkLogFields *fields, const char *message)
{
    g_autoptr(GString) safe = g_string_new(NULL);
    GLogField parts[7];
    gsize n = 0;

    append_escaped(safe, message, MESSAGE_MAX, NULL);
    parts[n++] = (GLogField){"MESSAGE", safe->str, -1};
    parts[n++] = (GLogField){"PRIORITY", priorities[level], -1};
    parts[n++] = (GLogField){"SYSLOG_IDENTIFIER", program_name, -1};
    if (fields->lesson)
        parts[n++] = (GLogField){"TONGKE_LESSON", fields->lesson, -1};
    if (fields->stream)
        parts[n++] = (GLogField){"TONGKE_STREAM", fields->stream, -1};
    if (fields->peer)
        parts[n++] = (GLogField){"TONGKE_PEER", fields->peer, -1};
    if (fields->reason)
        parts[n++] = (GLogField){"TONGKE_REASON", fields->reason, -1};
    return g_log_writer_journald(G_LOG_LEVEL_MESSAGE, parts, n, NULL) == G_LOG_WRITER_HANDLED;
}

static void write_message(TkLogLevel level, const TkLogFields *fields, const char *message)
{
    static const TkLogFields none = {NULL, NULL, NULL, NULL};

    if (!fields)
        fields = &none;
    if (form == FORM_JSON)
        write_json(level, fields, message);
    else if (form == FORM_TEXT || !write_journal(level, fields, message))
        write_text(level, fields, message);
}

void tk_log(TkLogLevel level, const TkLogFields *fields, const char *format, ...)
{
    va_list args;

    if (!tk_log_enabled(level))
        return;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);
    write_message(level, fields, message);
}

static const char *library_field(const GLogField *fields, gsize n_fields, const char *key)
{
    for (gsize i = 0; i < n_fields; i++)
        if (fields[i].length < 0 && g_str_equal(fields[i].key, key))
            return fields[i].value;
    return NULL;
}

// A library's "info" and below are for its own developers.
static TkLogLevel library_level(GLogLevelFlags flags)
{
    if (flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
        return TK_LOG_ERROR;
    if (flags & G_LOG_LEVEL_WARNING)
        return TK_LOG_WARNING;
    return TK_LOG_DEBUG;
}

static GLogWriterOutput take_library(GLogLevelFlags flags, const GLogField *fields, gsize n_fields,
                                     gpointer user_data)
{
    TkLogLevel level = library_level(flags);
    const char *domain = library_field(fields, n_fields, "GLIB_DOMAIN");
    const char *message = library_field(fields, n_fields, "MESSAGE");

    if (!tk_log_enabled(level) ||
        (level == TK_LOG_DEBUG && g_log_writer_default_would_drop(flags, domain)))
        return G_LOG_WRITER_HANDLED;
    g_autofree char *line = domain ? g_strdup_printf("%s: %s", domain, message ? message : "")
                                   : g_strdup(message ? message : "");
    write_message(level, NULL, line);
    return G_LOG_WRITER_HANDLED;
}

static void choose_form(void)
{
    const char *wanted = g_getenv("TONGKE_LOG_FORMAT");

    if (g_strcmp0(wanted, "json") == 0)
        form = FORM_JSON;
    else if (g_strcmp0(wanted, "text") == 0)
        form = FORM_TEXT;
    else
        form = g_log_writer_is_journald(STDERR_FILENO) ? FORM_JOURNAL : FORM_TEXT;
}

void tk_log_init(const char *program)
{
    static gboolean taken_over = FALSE;
    const char *level = g_getenv("TONGKE_LOG");

    program_name = program;
    level_max = TK_LOG_INFO;
    for (guint i = 0; level && i < G_N_ELEMENTS(level_words); i++)
        if (g_str_equal(level, level_words[i]))
            level_max = (TkLogLevel)i;
    choose_form();
    // GLib allows one writer in a process's life.
    if (!taken_over)
        g_log_set_writer_func(take_library, NULL, NULL);
    taken_over = TRUE;
}
