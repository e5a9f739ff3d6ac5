// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Names that may stand in URLs and file paths. They are checked once, at the door; nothing behind
// it ever meets a separator, a dot-dot or a control character.

// A lesson's name: 1 to 64 of [A-Za-z0-9._-], first a letter or digit, no "..".
gboolean tk_name_lesson_valid(const char *name);

// A stream's name: 1 to 32 of [a-z0-9-], first a letter ("main", "slides", "low", "class-7").
gboolean tk_name_stream_valid(const char *name);

// The stream that a bare lesson URL means.
#define TK_STREAM_MAIN "main"
// Its renditions: the same picture smaller; the same sound alone, which the relay makes and nobody
// sends.
#define TK_STREAM_LOW "low"
#define TK_STREAM_AUDIO "audio"
gboolean tk_name_is_rendition(const char *stream);

// Splits "/<lesson>" or "/<lesson>/<stream>" (leading slash optional, query and trailing slash
// ignored). Outputs are newly allocated; untouched on failure.
gboolean tk_name_split_path(const char *path, char **ret_lesson, char **ret_stream,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Whether any word of `rule` (separated by spaces) matches `name`; * and ? stand for anything.
gboolean tk_name_matches(const char *rule, const char *name);
