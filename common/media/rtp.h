// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// RTP fixed header (RFC 3550 section 5.1).
#define TK_RTP_HEADER_BYTES 12

typedef struct {
    guint8 payload_type; // 0..127
    gboolean marker;
    guint16 sequence;
    guint32 timestamp;
    guint32 ssrc;
    const guint8 *payload; // borrowed from the packet; padding taken off
    gsize payload_bytes;
} TkRtp;

// Reads a packet with CSRCs, extension and padding. FALSE: not RTP version 2, or lengths that do
// not fit. `ret` is untouched then.
gboolean tk_rtp_parse(const guint8 *data, gsize size, TkRtp *ret) G_GNUC_WARN_UNUSED_RESULT;

// Overwrites the fields that a relay makes its own; the marker, CSRCs and the rest stay. `data`
// must have passed tk_rtp_parse.
void tk_rtp_rewrite(guint8 *data, guint8 payload_type, guint16 sequence, guint32 timestamp,
                    guint32 ssrc);

// a - b modulo 2^16 as a signed distance (RFC 3550 appendix A.1).
static inline gint tk_rtp_seq_distance(guint16 a, guint16 b) { return (gint16)(guint16)(a - b); }

// Counts that wrap, made 64-bit: `*last` starts anywhere; returns the value congruent to `wrapped`
// (modulo 2^bits, bits 16 or 32) that lies nearest to *last. Does not move *last.
guint64 tk_rtp_unwrap(guint64 last, guint32 wrapped, guint bits);
