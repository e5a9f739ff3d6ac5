// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <jansson.h>

// jansson with the house's manners: hostile input is bounded, duplicate keys and bad UTF-8 refused.
G_DEFINE_AUTOPTR_CLEANUP_FUNC(json_t, json_decref)

// Nesting deeper than this is refused.
#define TK_JSON_DEPTH_MAX 32

// Parses exactly one value. `length` bytes at `text` (need not end in NUL), at most `max_bytes`.
// Returns a new reference or NULL.
json_t *tk_json_parse(const char *text, gsize length, gsize max_bytes, GError **error);

// Compact text, keys in the order they were added. Newly allocated with g_malloc.
char *tk_json_dump(const json_t *value);

// object[key] as a string / number / boolean, or `fallback`. Strings are borrowed from `object`.
const char *tk_json_string(const json_t *object, const char *key, const char *fallback);
gint64 tk_json_int(const json_t *object, const char *key, gint64 fallback);
double tk_json_real(const json_t *object, const char *key, double fallback);
gboolean tk_json_bool(const json_t *object, const char *key, gboolean fallback);

// Adds object[key] = value unless value is NULL or empty. Aborts when out of memory, as GLib does.
void tk_json_set_string(json_t *object, const char *key, const char *value);
void tk_json_set_int(json_t *object, const char *key, gint64 value);
// object[key] = RFC 3339 text of `wall_ns`, null when wall_ns is 0.
void tk_json_set_time(json_t *object, const char *key, gint64 wall_ns);

// An RFC 9457 problem document for `error`:
// {"type":"about:blank","title":…,"status":…,"code":"not-found","detail":"what to do"}. New
// reference.
json_t *tk_json_problem(const GError *error);
