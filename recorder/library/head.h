// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// <stream>.head: what makes a stream's media one MP4 that seeks at once (shelf_download_head), kept
// beside it once the recording is closed.

// The head that is kept, if it is of `media_bytes`; NULL if not. New.
GBytes *shelf_head_load(const char *folder, const char *stream, guint64 media_bytes);

// Makes it for the first `media_bytes` of the media (G_MAXUINT64: all that the index speaks of),
// reads it back (shelf_head_check) and, when `keep`, puts it beside the media. Takes long: for a
// thread that nobody waits for. New.
GBytes *shelf_head_make(const char *folder, const char *stream, guint64 media_bytes, gboolean keep,
                        GError **error);
