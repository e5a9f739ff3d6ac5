// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// Reads a head (shelf_download_head) back as a player would and holds it against the media: each
// sample of each chunk must stand where the tables say, in order and with that size. For a thread
// that nobody waits for.
gboolean shelf_head_check(GBytes *head, const RecEntry *entries, guint count, const guint8 *media,
                          guint64 media_bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
