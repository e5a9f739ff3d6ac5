// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Gives whatever sources follow each other on a track one RTP identity: one SSRC, sequence numbers
// without a hole at the change, timestamps that advance by the time that passed. Embedded.
typedef struct {
    guint8 payload_type;
    guint32 ssrc;
    guint32 clock_rate; // Hz
    gboolean started;
    gint64 number_shift;         // outgoing - incoming extended sequence number
    guint32 timestamp_shift;     // outgoing - incoming timestamp
    guint64 highest;             // outgoing sequence number, extended
    guint32 newest_timestamp;    // outgoing; the latest in presentation
    gint64 newest_ns;            // monotonic, when it came in
} RelayRenumber;

// A step of timestamps within one source that is larger than this is taken for another clock.
#define RELAY_RENUMBER_JUMP_MAX_S 10

// The first packet ever gets `first_number` and `first_timestamp`.
void relay_renumber_init(RelayRenumber *renumber, guint8 payload_type, guint32 ssrc,
                         guint32 clock_rate, guint16 first_number, guint32 first_timestamp);

// A source begins with the packet `sequence` (extended), `timestamp`. `same_clock`: it is the
// source of before after a jump of its sequence numbers, so its timestamps still mean the same.
void relay_renumber_source(RelayRenumber *renumber, gint64 sequence, guint32 timestamp,
                           gboolean same_clock, gint64 now_ns);

// An incoming timestamp as viewers see it.
guint32 relay_renumber_timestamp(const RelayRenumber *renumber, guint32 timestamp);

// A packet's place as viewers see it: the extended sequence number, and in *ret_timestamp its
// timestamp.
guint64 relay_renumber_packet(RelayRenumber *renumber, gint64 sequence, guint32 timestamp,
                              gint64 now_ns, guint32 *ret_timestamp);
