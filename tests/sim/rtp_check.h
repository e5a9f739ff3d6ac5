// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"

// What must hold of all that one viewer is sent over RTP, whoever sends it: one source and one row
// of numbers and times per track, pictures that can be decoded, every sound once.

typedef struct _Watcher Watcher;

#define RTP_CHECK_KEPT 8192 // packets per track: longer than anything is repaired

typedef struct {
    guint64 number; // in the viewer's own counting; 0: none
    guint32 timestamp;
    guint hash; // of the payload
} RtpSent;

typedef struct {
    gboolean started;
    guint32 ssrc;
    guint8 payload_type;
    guint64 highest;
    guint holes; // numbers that were passed over and have not come yet
    gint64 hole_ms;
    gboolean rtx_started;
    guint16 rtx_sequence;
    RtpSent *sent; // at the number modulo RTP_CHECK_KEPT
    gboolean timed;
    guint32 base;      // timestamp of the lesson's first frame, as this viewer has it
    gint32 off, worst; // how far the newest is off that; at worst
} RtpTrack;

typedef struct {
    RtpTrack tracks[2];
    // the picture that is being sent
    guint32 timestamp;
    guint stream, frame, part;
    gboolean open, config; // not whole yet; its parameter sets have been sent
    gboolean begun;
    guint pictures;         // packets of theirs
    guint cut, keys, again; // pictures cut off; key frames; repairs
    guint sound;            // the newest
    guint64 dropped;        // units, by the relay's count
} RtpCheck;

void rtp_check_init(RtpCheck *check);
void rtp_check_clear(RtpCheck *check);

// What kind of packet it was.
typedef struct {
    guint track;
    gboolean again; // a repair, of the packet `sequence`
    guint16 sequence;
    guint32 ssrc;
} RtpSeen;

// The packet is sent to the watcher now; `dropped`: units that it has lost so far by being slow.
void rtp_check_sent(Watcher *watcher, const guint8 *packet, gsize bytes, guint64 dropped,
                    RtpSeen *ret);
// Some times a second.
void rtp_check_tick(Watcher *watcher);
