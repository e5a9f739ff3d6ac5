// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

#include "relay/core/repair.h"

// How fast a viewer over UDP may be sent to, learnt from its receiver reports. A report tells how
// long a sender report took there and back (RFC 3550 section 6.4.1); one that was sent at the end
// of a burst stood behind that burst. So `bytes` that left within `span`, and the wait behind them,
// are what the line carried: bytes / (span + wait). This takes one report, however rare they are.
//
// To find out whether more would pass, a burst begins faster, but only until a few more bytes are
// under way than the proven rate would have had: less than the smallest buffer of an access line.

// Until the first report: what the lesson needs and half as much again. A line that cannot carry
// that loses lessons anyway, and there is room for repairs.
#define RELAY_LINE_RATE_START(need_bps) ((need_bps) + (need_bps) / 2)
// A classroom's line has 1 Mbit/s at least.
#define RELAY_LINE_RATE_START_MIN_BPS (1000 * 1000)
// Below this not even the sound passes.
#define RELAY_LINE_RATE_MIN_BPS (64 * 1000)
// A LAN's port; a whole keyframe leaves at once long before.
#define RELAY_LINE_RATE_MAX_BPS (100 * 1000 * 1000)

// For a multicast group, of which nothing is heard: a LAN carries it, its Wi-Fi as well.
#define RELAY_LINE_RATE_GROUP_BPS (24 * 1000 * 1000)

// What a probe may put into a queue: a quarter of a 64 kB buffer, 10 ms at least or nothing shows,
// and no more than a player's buffer swallows.
#define RELAY_LINE_RATE_PROBE_BYTES 16384
#define RELAY_LINE_RATE_PROBE_MIN_NS (10 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_PROBE_MAX_NS (150 * G_GINT64_CONSTANT(1000000))
// Twice the rate while no end was seen, four times where the round trip is so short that a small
// queue shows. After an end was seen, a quarter more and not so often.
#define RELAY_LINE_RATE_NEAR_NS (20 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_PROBE_AGAIN_NS (5 * G_GINT64_CONSTANT(1000000000))

// A longer wait than on the empty line by so much and an eighth of the round trip is a queue.
#define RELAY_LINE_RATE_JITTER_NS (5 * G_GINT64_CONSTANT(1000000))
// Only a queue of so long, and losses, say that the line cannot carry the lesson: no jitter is, and
// a busy machine there or here makes one without the other.
#define RELAY_LINE_RATE_DEEP_NS (150 * G_GINT64_CONSTANT(1000000))
// Of 256, 2 %: a rate that loses so much is not proven.
#define RELAY_LINE_RATE_LOSSY 5
// A line that is flooded loses sender reports like everything else, so no one answer is waited for:
// over so long most reports tell of such a queue, and of losses; or over four times as long more is
// lost (of 256: 60 %) than by any line that merely loses, and goes on being lost after that: a line
// that stood still has lost as much, and is well again. What came through is what it carries.
#define RELAY_LINE_RATE_FLOOD_NS (500 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_FLOOD_LOST 154
#define RELAY_LINE_RATE_FLOOD_PACKETS 30 // of fewer no share can be told
// A line with a large buffer loses nothing for long, and all that comes, comes late. When reports
// tell of such a queue for longer than a busy machine lags, and it grows by an eighth of the time
// from one sender report to the next, less passes than is sent. Those are so far apart at least,
// and go so often then; so many are remembered, for a queue of 8 s.
#define RELAY_LINE_RATE_BURIED_NS (600 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_PASSING_EVERY_NS (1000 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_PASSING 8
// So long after a probe or the end of a long burst the line is empty; in a burst that does not end
// so long after its beginning.
#define RELAY_LINE_RATE_CALM_NS (300 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_ENDLESS_NS (3 * G_GINT64_CONSTANT(1000000000))
// The empty line is measured so often before anything is concluded from it (a player that has just
// begun is slow to answer; unless it is near), so far apart at least, and again when there is time
// for it. The least of one or two windows counts, for ways change, but not while that falls: what
// waits of a flood passes. When it is too old none does.
#define RELAY_LINE_RATE_SAMPLES 3
#define RELAY_LINE_RATE_SAMPLE_EVERY_NS (100 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_REFRESH_NS (4 * G_GINT64_CONSTANT(1000000000))
#define RELAY_LINE_RATE_WINDOW_NS (10 * G_GINT64_CONSTANT(1000000000))
#define RELAY_LINE_RATE_STALE_NS (20 * G_GINT64_CONSTANT(1000000000))
// Unanswered sender reports within bursts are so far apart at least.
#define RELAY_LINE_RATE_MARK_EVERY_NS (250 * G_GINT64_CONSTANT(1000000))
// A report refers to the newest sender report only: none follows one behind a probe for so long, a
// little more than players need that report every 5 s.
#define RELAY_LINE_RATE_PATIENCE_NS (8 * G_GINT64_CONSTANT(1000000000))

// Who gets less than the lesson has no bursts that would tell whether more passes: packets go again
// for that, at once, so often at most.
#define RELAY_LINE_RATE_TRY_EVERY_NS (3000 * G_GINT64_CONSTANT(1000000))
#define RELAY_LINE_RATE_TRY_MIN_BYTES 2400

typedef struct {
    gint64 rate_bps;              // what passes, as far as known
    gint64 need_bps;              // the lesson's own
    gint64 ceiling_bps;           // what did not pass; 0: nothing yet
    gint64 ceiling_ns;            // when
    gint64 proven_bps;            // what was seen to pass; 0: nothing yet
    gint64 target_bps;            // what would be of use if it passed; 0: no more
    gint64 try_bytes, tried_ns;   // what goes again for that now; when last
    gint64 rtt_ns, rtt_at_ns;     // of the empty line
    gint64 window_ns;             // since when it is looked at,
    gint64 least_ns, most_ns;     // and what it was since;
    gint64 before_ns;             // at least in the window before that
    guint samples;                // of it, so far as they are needed
    gint64 queue_ns;              // the newest wait beyond that
    gint64 probe_bps;             // 0: none
    gint64 probe_room, probe_out; // bytes that it may send, and sent, too many
    gint64 hurried_ns;            // when last there may have been a queue
    gboolean unsure;        // grown on a far line: a burst at this rate comes before the next probe
    gboolean full;          // within a burst: more waits than may leave
    gboolean told;          // its mark has been sent
    gboolean due;           // a mark is to be sent now
    gint64 burst_ns;        // its beginning
    gint64 since_ns, bytes; // what left in it, or since the last mark
    gint64 queue_before_ns; // at `since_ns`
    gint64 marked_ns;
    gint64 lossy_ns; // when losses were last reported
    struct {         // since when; what left; what was reported
        gint64 since_ns, bytes;
        guint reports, deep;
        gint64 expected, lost; // packets
        struct {
            guint32 ssrc, highest;
            gint32 lost;
        } sources[RELAY_INPUT_TRACKS_MAX];
    } flood;
    gboolean drowned; // the flood before this one lost as much
    struct {          // sender reports, and all that had left before each
        guint32 key;
        gint64 sent_ns, bytes;
    } passing[RELAY_LINE_RATE_PASSING];
    guint passing_at;  // the newest
    gint64 sent_bytes; // in all
    gint64 buried_ns;  // since when reports tell of such a queue; 0: they do not
    gint64 came_sent_ns, came_bytes,
        came_queue_ns; // of the newest of them that is known to have come
    struct {           // the newest sender report
        guint32 key;
        gboolean out, burst, calm, lost; // unanswered; behind a burst; on an empty line; loss told
        gint64 bytes, span_ns, queue_before_ns, probe_bps, try_bytes;
    } mark;
} RelayLineRate;

void relay_line_rate_init(RelayLineRate *line, gint64 need_bps, gint64 now_ns);
// What the stream has now.
void relay_line_rate_need(RelayLineRate *line, gint64 need_bps);

// The stream is another from now on that needs more than is known to pass: it is tried.
void relay_line_rate_hope(RelayLineRate *line, gint64 need_bps);

// The stream needed more than passes, whatever was taken for proven.
void relay_line_rate_fail(RelayLineRate *line, gint64 need_bps);

// It would be of use to know that so much passes; 0: it would not.
void relay_line_rate_aim(RelayLineRate *line, gint64 target_bps);
// How many bytes are to go again now, only to see whether they pass; mostly 0. A sender report
// is wanted behind them.
gint64 relay_line_rate_try(RelayLineRate *line, gint64 now_ns);

// Bits a second at which to send now.
static inline gint64 relay_line_rate_bps(const RelayLineRate *line)
{
    return line->probe_bps ? line->probe_bps : line->rate_bps;
}

// `bytes` have left in a round; `full`: more would have. TRUE: a sender report is wanted now,
// behind them.
gboolean relay_line_rate_sent(RelayLineRate *line, gsize bytes, gboolean full, gint64 now_ns);
// Whether the newest should stay the newest for a while.
gboolean relay_line_rate_expects(const RelayLineRate *line, gint64 now_ns);
// Whether one is wanted to measure the empty line.
gboolean relay_line_rate_curious(const RelayLineRate *line, gint64 now_ns);
// A sender report leaves; `key`: the middle 32 bits of its NTP time.
void relay_line_rate_mark(RelayLineRate *line, guint32 key, gint64 now_ns);
// The viewer, hostile, reports: it can only harm itself.
void relay_line_rate_report(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns);
