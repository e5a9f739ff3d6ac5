// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// A recording as one MP4 that seeks at once, without copying its media: ftyp, a moov with full
// sample tables (ISO/IEC 14496-12), and the header of an mdat whose body is <stream>.mp4 as it is.
// A gap makes the sample before it longer, so that picture and sound stay in step; edit lists put
// the tracks' beginnings right.

// What stands before the media: `media` are the `media_bytes` of the file that the entries speak
// of. Takes long for long recordings (it touches every chunk): not for a thread that others wait
// for. New; NULL when there is no sample in it.
GBytes *shelf_download_head(const RecEntry *entries, guint count, const guint8 *media,
                            guint64 media_bytes, GError **error);

// Whether a stored head belongs to media of that length.
gboolean shelf_download_head_fits(const guint8 *head, gsize size, guint64 media_bytes);
