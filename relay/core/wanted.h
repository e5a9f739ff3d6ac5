// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtp.h"

// What a receiver misses of its sender, and when to ask for it again (NACK, RFC 4585 section
// 6.2.1). Embedded; all in the sender's extended sequence numbers.

// Missing packets remembered: a keyframe of 350 kB. Of a longer hole only the newest are asked for.
#define RELAY_WANTED_MAX 256
// Packets that overtake each other are this much apart at most, mostly.
#define RELAY_WANTED_PATIENCE_NS (10 * G_GINT64_CONSTANT(1000000))
#define RELAY_WANTED_ASKS_MAX 8
// Every packet that comes allows a quarter of a question: who loses more than that has a line that
// is full, and questions would fill it more.
#define RELAY_WANTED_CREDIT_SHARE 4
// How long what comes behind a hole is held back for its repair, within these: as long as so many
// questions, each a repair and a quarter after the one before, need for their answers. A picture
// that comes late stops a viewer for less time than one that is missing, which takes all up to the
// next keyframe with it. A sender that has repaired nothing yet gets time for two. Without repair
// RELAY_REORDER_WAIT_NS.
#define RELAY_WANTED_WAIT_ASKS 6
#define RELAY_WANTED_WAIT_MIN_NS (150 * G_GINT64_CONSTANT(1000000))
#define RELAY_WANTED_WAIT_MAX_NS (1200 * G_GINT64_CONSTANT(1000000))

typedef struct {
    gint64 sequence;
    gint64 missed_ns, asked_ns;
    guint asks;
} RelayWant;

typedef struct {
    gboolean enabled, started;
    gint64 highest;
    guint count;
    RelayWant wants[RELAY_WANTED_MAX]; // ascending
    guint credit;                      // questions allowed, times RELAY_WANTED_CREDIT_SHARE
    gint64 repair_ns;                  // from question to packet, smoothed; 0: not known
    guint64 asked, repaired;           // in all
} RelayWanted;

// A source begins. What was counted and learnt stays. `wanted` is zeroed before its first start.
void relay_wanted_start(RelayWanted *wanted, gboolean enabled);

// An accepted packet.
void relay_wanted_arrived(RelayWanted *wanted, gint64 sequence, gint64 now_ns);

// Numbers to ask for now, ascending, at most RELAY_WANTED_MAX of them; they count as asked.
guint relay_wanted_due(RelayWanted *wanted, gint64 now_ns, guint16 *ret);

gint64 relay_wanted_wait_ns(const RelayWanted *wanted);

// The original of a retransmission (RFC 4588 section 4) that was asked for; newly allocated. NULL:
// malformed or not wanted.
guint8 *relay_wanted_restore(const RelayWanted *wanted, const guint8 *data, gsize size,
                             const TkRtp *rtx, guint8 payload_type, guint32 ssrc, gsize *ret_size);
