// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// RTCP (RFC 3550 section 6) and generic NACK (RFC 4585 section 6.2.1).

typedef struct {
    guint32 ssrc;          // source the block is about
    guint8 fraction_lost;  // of 256 since the last report
    gint32 cumulative_lost;
    guint32 highest_sequence; // extended
    guint32 jitter;        // RTP timestamp units
    guint32 last_sr;       // middle 32 bits of the NTP time of the last SR; 0 = none
    guint32 delay_since_sr; // 1/65536 s
} TkRtcpReport;

typedef enum {
    TK_RTCP_SENDER_REPORT,
    TK_RTCP_RECEIVER_REPORT,
    TK_RTCP_SDES,
    TK_RTCP_BYE,
    TK_RTCP_NACK,
    TK_RTCP_PLI,   // RFC 4585 section 6.3.1
    TK_RTCP_OTHER, // well-formed and passed over
} TkRtcpType;

#define TK_RTCP_REPORTS_MAX 31
#define TK_RTCP_CNAME_MAX 255

typedef struct {
    TkRtcpType type;
    guint32 ssrc; // of the packet's sender; BYE and SDES: of the first chunk
    // sender report
    guint64 ntp;
    guint32 rtp_timestamp;
    guint32 packets, octets;
    // sender and receiver report
    guint reports_count;
    TkRtcpReport reports[TK_RTCP_REPORTS_MAX];
    // SDES: the CNAME of the first chunk, NUL-terminated, or ""
    char cname[TK_RTCP_CNAME_MAX + 1];
    // NACK: media source and the feedback entries, borrowed; read with tk_rtcp_nack_next
    guint32 media_ssrc;
    const guint8 *nack;
    gsize nack_bytes;
} TkRtcp;

// Walks a compound packet: set *offset to 0, call until it returns FALSE. Stops at the first
// malformed part (RFC 3550 appendix A.2); *offset == size only when all of it was well-formed.
gboolean tk_rtcp_next(const guint8 *data, gsize size, gsize *offset, TkRtcp *ret)
    G_GNUC_WARN_UNUSED_RESULT;

// Walks the sequence numbers that a NACK asks for: *cursor starts at 0, FALSE at the end.
gboolean tk_rtcp_nack_next(const TkRtcp *nack, gsize *cursor, guint16 *ret_sequence)
    G_GNUC_WARN_UNUSED_RESULT;

// Writers append one packet to `out`.
void tk_rtcp_put_sender_report(GByteArray *out, guint32 ssrc, guint64 ntp, guint32 rtp_timestamp,
                               guint32 packets, guint32 octets);
void tk_rtcp_put_receiver_report(GByteArray *out, guint32 ssrc, const TkRtcpReport *reports,
                                 guint count);
void tk_rtcp_put_sdes(GByteArray *out, guint32 ssrc, const char *cname);
void tk_rtcp_put_bye(GByteArray *out, guint32 ssrc);
void tk_rtcp_put_pli(GByteArray *out, guint32 ssrc, guint32 media_ssrc);
// `sequences`: ascending modulo 2^16; packed into PID/BLP pairs.
void tk_rtcp_put_nack(GByteArray *out, guint32 ssrc, guint32 media_ssrc, const guint16 *sequences,
                      guint count);
