// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Fragmented MP4 as Tongke uses it: an initialisation segment (ftyp + moov), then chunks of
// [prft] moof mdat (ISO/IEC 14496-12, CMAF ISO/IEC 23000-19), picture and sound in one moof.

typedef enum { TK_TRACK_VIDEO, TK_TRACK_AUDIO } TkTrackKind;

#define TK_CMAF_TRACKS_MAX 2
#define TK_CMAF_SAMPLES_MAX 1024 // per track and chunk

// Media times count in these everywhere; the RTP clocks of H.264 and of 48 kHz AAC.
#define TK_CMAF_VIDEO_TIMESCALE 90000u

typedef struct {
    TkTrackKind kind;
    guint32 track_id;  // 1, 2 …
    guint32 timescale; // ticks a second; audio: its sample rate
    guint8 *config;    // avcC record, or AudioSpecificConfig
    gsize config_bytes;
    guint width, height;  // video
    guint channels, rate; // audio
} TkCmafTrack;

// ftyp + moov + mvex. Newly allocated bytes.
GBytes *tk_cmaf_init_write(const TkCmafTrack *tracks, guint count);

// The codecs parameter (RFC 6381): "avc1.64001F,mp4a.40.2". Newly allocated.
char *tk_cmaf_codecs(const TkCmafTrack *tracks, guint count);

typedef struct {
    guint32 duration;  // ticks
    guint32 size;      // bytes
    gint32 cts_offset; // presentation - decode time, ticks
    gboolean key;
} TkCmafSample;

typedef struct {
    guint32 track_id;
    guint64 decode_time; // tfdt, ticks, of the first sample; the reader's limit is 2^48
    const TkCmafSample *samples;
    guint samples_count; // 1..TK_CMAF_SAMPLES_MAX
    const guint8 *data;  // the samples' bytes one behind the other
    gsize data_bytes;
} TkCmafRun;

// One chunk. `ntp` (0: no prft) is the wall-clock time at which the first sample of runs[0] was
// captured (prft flags 24: "time of capture"); its media time is that run's decode_time + offset.
// Written into `buffer` of tk_cmaf_chunk_bytes() bytes; at most 2 GiB, as offsets have 31 bits.
gsize tk_cmaf_chunk_bytes(const TkCmafRun *runs, guint count, gboolean with_prft);
void tk_cmaf_chunk_write(guint8 *buffer, guint32 sequence, guint64 ntp, const TkCmafRun *runs,
                         guint count);

// Moves a chunk of ours in media time: `ticks` are added to the times of its n-th run.
void tk_cmaf_chunk_move(guint8 *chunk, gboolean with_prft, const gint64 *ticks,
                        const guint *samples_counts, guint runs_count);
