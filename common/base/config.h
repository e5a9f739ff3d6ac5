// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Key files (GLib's format) held against a schema: unknown and duplicate keys, wrong types and
// values out of range are errors that name file, line or key, and what would be right.
typedef enum {
    TK_CONFIG_STRING, // min..max: length in bytes
    TK_CONFIG_INT,    // min..max: value
    TK_CONFIG_BOOL,   // true | false
    TK_CONFIG_CHOICE, // one of the words in `choices`, separated by '|'
} TkConfigType;

typedef struct {
    const char *group, *key;
    TkConfigType type;
    const char *fallback; // default value as text; never NULL
    gint64 min, max;
    const char *choices; // for TK_CONFIG_CHOICE
    const char *help;    // one or two sentences, with the unit; stands in the example file
} TkConfigField;

typedef struct _TkConfig TkConfig;

// All defaults. `fields` (ended by one whose key is NULL) is borrowed for the object's life; a
// default that breaks its own rule is a programming error and aborts.
TkConfig *tk_config_new(const TkConfigField *fields);
void tk_config_free(TkConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkConfig, tk_config_free)

// Reads a file (at most 256 KiB) over what is set already. On error nothing is changed.
gboolean tk_config_load(TkConfig *config, const char *path, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

// The same from memory; `name` is what errors call it.
gboolean tk_config_load_data(TkConfig *config, const char *name, const char *data, gsize length,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

// "group.key=value", as given to --set.
gboolean tk_config_set(TkConfig *config, const char *assignment, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;

// Values. Asking for a key that is not in the schema, or by the wrong type, aborts. Strings are
// borrowed until the next load, set or free; an empty string means "not set".
const char *tk_config_string(const TkConfig *config, const char *group, const char *key);
gint64 tk_config_int(const TkConfig *config, const char *group, const char *key);
gboolean tk_config_bool(const TkConfig *config, const char *group, const char *key);

// The commented example file that this schema describes; configs/*.conf are made by it
// (`PROGRAM --print-example`) and a test keeps them in step. Newly allocated.
char *tk_config_example(const TkConfigField *fields, const char *title);
