// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// What is done to a recording's folder before it is written to or listed again.

typedef struct {
    GArray *entries; // RecEntry, all pieces of the file in order
    guint64 media_bytes;
    guint64 cut_bytes; // of a torn tail, taken off the media
    guint found;       // pieces that the index did not know of
    guint dropped;     // index lines that had no good media behind them
} RecRecovered;

void rec_recovered_clear(RecRecovered *recovered);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RecRecovered, rec_recovered_clear)

// Makes a stream's media and index agree: the index is taken as far as it is whole and the CRCs of
// its last lines are right, and behind a damaged line as far as CRCs are; media between and behind
// is read piece by piece; damage in the middle is passed over and stays where it is; only a tail in
// which nothing more can be read is cut off, and, when the machine was started anew since, what no
// line of the index stood for (rec_index_boot). Missing files are an empty stream.
gboolean rec_recover_stream(const char *folder, const char *stream, RecRecovered *ret,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

// The names of the streams whose media stands in the folder. Newly allocated, sorted, ended by
// NULL.
char **rec_recover_streams(const char *folder);

// Loads a recording; when it was being written, an index is missing, or `deep`, its streams are
// recovered and counted anew. A lesson.json that cannot be read is put aside as lesson.json.damaged
// and made anew from the media; `id` is the folder's name. *ret_changed: what lesson.json says is
// no longer right.
RecLesson *rec_recover_lesson(const char *folder, const char *id, gboolean deep,
                              gboolean *ret_changed, GError **error);
