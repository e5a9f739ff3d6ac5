// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtcp.h"
#include "relay/core/history.h"
#include "relay/core/input.h"

// A viewer's losses: what it asks for (NACK, RFC 4585 section 6.2.1) is sent again out of the
// history that all viewers share, as retransmission (RFC 4588) or as it was.
//
// A packet that the relay has still to get itself needs no memory of who asked: when it comes it
// stands at the history's head, and every viewer gets it.

// Where a stream's packets stand in its history, by track and number.
typedef struct _RelayRepairIndex RelayRepairIndex;

// Packets remembered per track: 4 s of a 10 Mbit/s lesson, longer than any player's buffer.
#define RELAY_REPAIR_INDEX 4096

RelayRepairIndex *relay_repair_index_new(void);
void relay_repair_index_free(RelayRepairIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayRepairIndex, relay_repair_index_free)
// `unit` will be pushed to the history at `position`.
void relay_repair_index_note(RelayRepairIndex *index, const RelayUnit *unit, guint64 position);
// NULL: too old, or not here yet. Borrowed until the history changes.
RelayUnit *relay_repair_index_find(const RelayRepairIndex *index, const RelayHistory *history,
                                   guint track, guint64 number);

// What one track of a viewer was sent since it began or was last set forward: nothing else is
// repaired. Zeroed = nothing; the relay's own numbers are never 0.
typedef struct {
    guint64 first, last; // extended sequence numbers
} RelayRepairSpan;

static inline void relay_repair_span_add(RelayRepairSpan *span, guint64 number)
{
    if (!span->first)
        span->first = number;
    span->last = MAX(span->last, number);
}

// What a viewer may cost: its bytes a second and at once are shares of the stream's.
#define RELAY_REPAIR_SHARE 2         // a half: 20 % of loss both ways needs a third
#define RELAY_REPAIR_BURST_MIN 32768 // bytes: one keyframe lost as a whole
// Players ask again before the answer can have come: the same packet goes again after a round trip,
// which is this at least and, whatever the viewer says, at most a second.
#define RELAY_REPAIR_AGAIN_NS (20 * G_GINT64_CONSTANT(1000000))
#define RELAY_REPAIR_RTT_GUESS_NS (100 * G_GINT64_CONSTANT(1000000)) // until it is known
#define RELAY_REPAIR_RTT_MAX_NS (1000 * G_GINT64_CONSTANT(1000000))
// A line's own buffer makes it longer: 64 kB wait for so long where 64 kbit/s pass.
#define RELAY_QUESTION_RTT_MAX_NS (8000 * G_GINT64_CONSTANT(1000000))
// A second answer to the same question goes twice, so far apart. So does the first where the viewer
// loses so much (of 256: 5 %) and a second would come too late for its buffer.
#define RELAY_REPAIR_LOSSY 13
#define RELAY_REPAIR_SPREAD_NS (10 * G_GINT64_CONSTANT(1000000))
// How long a viewer waits for a packet, until it has asked for one for longer: tongke-player's
// buffer. And how long after its round trip it asks again at the latest.
#define RELAY_REPAIR_PATIENCE_NS (400 * G_GINT64_CONSTANT(1000000))
#define RELAY_REPAIR_ASKS_EVERY_NS (80 * G_GINT64_CONSTANT(1000000))
#define RELAY_REPAIR_TRIES_MAX 12  // answers to one packet's NACKs; at 200 ms round trip 2.4 s
#define RELAY_REPAIR_QUEUE 128     // waiting to leave, per viewer
#define RELAY_REPAIR_RECENT 256    // packets per track whose answers are counted
#define RELAY_REPAIR_ASKED_MAX 256 // numbers taken from one datagram

// What one datagram of a viewer asks for.
typedef struct {
    guint32 ssrc;
    gboolean reported; // the next five, by its receiver report
    guint32 last_sr;   // which of our reports the round trip is of
    gint64 rtt_ns;
    guint8 fraction_lost; // of 256
    guint32 highest;      // extended sequence number that came, modulo 2^32
    gint32 lost;          // of all so far
    guint count;
    guint16 sequences[RELAY_REPAIR_ASKED_MAX];
} RelayQuestion;

// What is known of a viewer's line. Zeroed at first.
#define RELAY_REPAIR_SMOOTH 8
typedef struct {
    gboolean known;
    gint64 rtt_ns; // both smoothed
    guint loss;    // of 256 * RELAY_REPAIR_SMOOTH
} RelayRepairLine;

void relay_repair_line_note(RelayRepairLine *line, const RelayQuestion *question);

typedef struct {
    guint64 asked;      // sequence numbers in NACKs
    guint64 resent;     // packets, copies counted
    guint64 unanswered; // out of the span, no longer or not yet here, over the budget
} RelayRepairStats;

typedef struct _RelayRepair RelayRepair; // of one viewer

RelayRepair *relay_repair_new(gint64 now_ns);
void relay_repair_free(RelayRepair *repair);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayRepair, relay_repair_free)

// Reads what a compound packet, hostile, says and asks of one source. FALSE: nothing.
gboolean relay_repair_read(const guint8 *rtcp, gsize size, gint64 wall_ns, RelayQuestion *ret);

// The viewer asks for packets of a track of a stream that has `rate_bps`. What stands at `position`
// or behind it has yet to be sent to it.
void relay_repair_ask(RelayRepair *repair, const RelayRepairIndex *index,
                      const RelayHistory *history, guint track, const RelayRepairSpan *span,
                      guint64 position, const RelayRepairLine *line, const RelayQuestion *question,
                      gint64 rate_bps, gint64 now_ns);

// The next packet to send again at `now_ns`, borrowed; NULL when none is due.
RelayUnit *relay_repair_next(RelayRepair *repair, const RelayRepairIndex *index,
                             const RelayHistory *history, gint64 now_ns);
// The one that relay_repair_next gave has been sent.
void relay_repair_done(RelayRepair *repair);
// Something waits, due or not.
gboolean relay_repair_waiting(const RelayRepair *repair);
// The viewer was set forward: what waits is of no use to it.
void relay_repair_forget(RelayRepair *repair);

// `unit` as the viewer's retransmission packet `sequence` of its track; a new unit. `header`: that
// under which the viewer got it; NULL: the unit's own.
RelayUnit *relay_repair_rtx(const RelayUnit *unit, const guint8 *header, guint16 sequence);
// The payload type (above the medium's own) and the SSRC of a track's retransmissions.
#define RELAY_REPAIR_PT_STEP 2
guint32 relay_repair_ssrc(guint32 media_ssrc);

const RelayRepairStats *relay_repair_stats(const RelayRepair *repair);
