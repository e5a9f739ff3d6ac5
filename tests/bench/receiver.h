// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a player tells of one RTP track: receiver reports (RFC 3550 section 6.4.2).
typedef struct {
    guint32 ssrc;
    gboolean begun;
    guint32 first, highest; // extended sequence numbers
    guint32 received, expected_before, received_before;
    double jitter; // in timestamp units
    gint64 transit;
    guint32 last_sr;
    gint64 sr_ns; // wall clock, when the kernel got it: a busy generator is no long line
} LoadReceiver;

// A packet that was not lost, as it came by the network; not one that was sent again.
void load_receiver_take(LoadReceiver *receiver, const guint8 *data, gsize size, guint clock_rate,
                        gint64 at_ns);
void load_receiver_take_rtcp(LoadReceiver *receiver, const guint8 *data, gsize size, gint64 at_ns);

// The compound packet to send now; NULL while nothing is known. Owned by the caller.
GByteArray *load_receiver_report(LoadReceiver *receiver);
