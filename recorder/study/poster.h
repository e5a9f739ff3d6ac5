// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

#define STUDY_POSTER_WIDTH 640
#define STUDY_POSTER_FILE "poster.jpg"

// The pieces that a still is decoded from: the keyframe nearest to a fifth of the stream's length.
// *ret_init and *ret_key are indexes of entries; the chunks from ret_key on, up to *ret_end
// (exclusive), are enough. FALSE: nothing in it can be shown.
gboolean study_poster_choose(const RecEntry *entries, guint count, guint *ret_init, guint *ret_key,
                             guint *ret_end) G_GNUC_WARN_UNUSED_RESULT;

// Decodes a still out of <folder>/<stream>.mp4 and writes <folder>/poster.jpg. Takes as long as
// decoding takes, at most STUDY_POSTER_S; to be called from a process of its own, since decoders
// have met hostile pictures before.
#define STUDY_POSTER_S 20
gboolean study_poster_make(const char *folder, const char *stream,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
