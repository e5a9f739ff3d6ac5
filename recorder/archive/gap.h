// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// What is missing between a stream's chunks, by what their index lines say.

// A stretch that is missing, in media time; wall times 0 = not known.
typedef struct {
    char *stream;
    gint64 from_ns, to_ns;
    gint64 start_wall_ns, end_wall_ns;
    const char *reason; // of rec_gap_reason
    gboolean healed;    // has been filled since: what viewers missed, and the recording did
} RecGap;

typedef enum {
    REC_GAP_AWAY,    // "sender-away": nothing was sent
    REC_GAP_MISSED,  // "missed": chunks that were not received
    REC_GAP_PICTURE, // "no-picture": the pictures alone are missing
    REC_GAP_REASONS
} RecGapReason;

const char *rec_gap_word(RecGapReason reason);
// The word's own copy of those above; "missed" when it is none of them. Static.
const char *rec_gap_reason(const char *word);

// How far one has come along a stream. Zero-initialise.
typedef struct {
    gboolean begun;    // `before` is a chunk
    gboolean pictured; // so is `pictures`
    RecEntry before;   // the last chunk
    RecEntry pictures; // the last one that is not of sound alone (REC_ENTRY_SOUND)
} RecTrail;

// Takes the next entry; whether there is a gap before it. Initialisation segments change nothing.
// Two gaps can overlap: pictures are missing for longer than sound is.
gboolean rec_trail_next(RecTrail *trail, const RecEntry *entry, RecGap *ret);
