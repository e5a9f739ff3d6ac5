// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/cmaf.h"

// Reading what tk_cmaf writes, from a peer or a damaged disk: all lengths are checked, nothing is
// believed. Other writers' files need not be understood.

typedef struct {
    TkCmafTrack tracks[TK_CMAF_TRACKS_MAX]; // config is owned by this struct
    guint tracks_count;
} TkCmafInit;

void tk_cmaf_init_clear(TkCmafInit *init);
gboolean tk_cmaf_init_parse(const guint8 *data, gsize size, TkCmafInit *ret)
    G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
    guint32 track_id;
    guint64 decode_time; // ticks
    guint64 duration;    // ticks, sum of the samples'
    guint samples_count;
    gboolean starts_key; // first sample is a sync sample
    const guint8 *trun;  // borrowed; read with tk_cmaf_sample_next
    gsize trun_bytes;
    gsize data_offset; // of the run's first byte, from the start of the chunk
} TkCmafRunInfo;

typedef struct {
    gsize bytes; // of the whole chunk, prft included
    guint32 sequence;
    guint64 ntp; // 0: no prft
    guint runs_count;
    TkCmafRunInfo runs[TK_CMAF_TRACKS_MAX];
} TkCmafChunk;

// What stands at `data`: an init segment, a whole chunk, the start of one that is cut off
// (TRUNCATED: more bytes could make it whole), or something else (FOREIGN).
typedef enum { TK_CMAF_INIT, TK_CMAF_CHUNK, TK_CMAF_TRUNCATED, TK_CMAF_FOREIGN } TkCmafPiece;

// For TK_CMAF_INIT and TK_CMAF_CHUNK *ret_bytes is the piece's length. For CHUNK *ret is filled too
// (may be NULL). Every sample lies inside the chunk's mdat.
TkCmafPiece tk_cmaf_piece(const guint8 *data, gsize size, TkCmafChunk *ret, gsize *ret_bytes);

typedef struct {
    gsize offset; // from the chunk's start
    TkCmafSample sample;
} TkCmafSampleAt;

// Walks a run: zero-initialise *cursor, call until FALSE.
typedef struct {
    guint next;
    gsize offset;
} TkCmafCursor;
gboolean tk_cmaf_sample_next(const TkCmafRunInfo *run, TkCmafCursor *cursor, TkCmafSampleAt *ret)
    G_GNUC_WARN_UNUSED_RESULT;
