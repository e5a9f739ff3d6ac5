// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/cmaf.h"

// Samples of up to one picture and one sound track in, chunks of about a tenth of a second out, as
// the relay makes them but with mfhd number 0: only the relay's chunks are numbered.
typedef struct _TkCmafMux TkCmafMux;

// A new chunk begins at each keyframe and after so much of the leading track.
#define TK_CMAF_MUX_CHUNK_MS 100

// `key`: a player can begin at the chunk. Takes nothing over.
typedef void (*TkCmafMuxFunc)(void *user, GBytes *chunk, gboolean key);

// `tracks`: only kind, id and timescale are used.
TkCmafMux *tk_cmaf_mux_new(const TkCmafTrack *tracks, guint count, TkCmafMuxFunc func, void *user);
void tk_cmaf_mux_free(TkCmafMux *mux);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkCmafMux, tk_cmaf_mux_free)

typedef struct {
    TkTrackKind kind;
    gint64 decode; // ticks, rising within the track
    gint32 cts_offset;
    gboolean key;
    gint64 wall_ns;     // when it was captured; 0 = not known
    const guint8 *data; // borrowed for the call
    gsize size;
} TkCmafMuxSample;

// FALSE: no such track, or its time is not behind that of the one before; nothing was taken.
gboolean tk_cmaf_mux_push(TkCmafMux *mux, const TkCmafMuxSample *sample);

// Gives out what is pending. Decode times of what follows, in ticks; -1: not known.
void tk_cmaf_mux_flush(TkCmafMux *mux, gint64 next_video, gint64 next_audio);
