// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What capture and player alike need of the relay they talk to.

// The `n`-th pause between tries, n from 0: 1, 2, 4, 8, 15, 15 … s, never more than `max_s`.
guint client_backoff_s(guint n, guint max_s);

// The token in the file at `path`, or with NULL in $TONGKE_TOKEN. NULL without error: there is
// none. Newly allocated.
char *client_token_read(const char *path, GError **error);

// Whether `url` is rtsp://HOST[:PORT]/LESSON[/STREAM] without user and password.
gboolean client_url_check(const char *url, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// `*ret` becomes the index of `text` among `words` (ended by NULL); untouched when `text` is NULL.
gboolean client_choose(const char *option, const char *text, const char *const *words, guint *ret,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;

// What an error of GStreamer's network elements means for the one before the screen, in Chinese and
// English; the element's own words where nothing better is known. Borrowed from `error` or static.
const char *client_error_sentence(const GError *error);
