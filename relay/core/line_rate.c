// SPDX-License-Identifier: MIT
#include "relay/core/line_rate.h"

#include "common/base/clock.h"

// Bits a second of bytes in a time.
static gint64 rate_of(gint64 bytes, gint64 span_ns)
{
    return (gint64)((double)bytes * 8 * TK_NS_PER_S / (double)MAX(span_ns, TK_NS_PER_MS));
}

static gint64 bytes_in(gint64 rate_bps, gint64 span_ns)
{
    return (gint64)((double)rate_bps / 8 * (double)span_ns / TK_NS_PER_S);
}

static gint64 floor_of(const RelayLineRate *line)
{
    return MAX(RELAY_LINE_RATE_START(line->need_bps), RELAY_LINE_RATE_START_MIN_BPS);
}

static void set_rate(RelayLineRate *line, gint64 rate_bps)
{
    line->rate_bps = CLAMP(rate_bps, RELAY_LINE_RATE_MIN_BPS, RELAY_LINE_RATE_MAX_BPS);
}

static void begin_flood(RelayLineRate *line, gint64 now_ns)
{
    line->flood.since_ns = now_ns;
    line->flood.bytes = line->flood.expected = line->flood.lost = 0;
    line->flood.reports = line->flood.deep = 0;
}

void relay_line_rate_init(RelayLineRate *line, gint64 need_bps, gint64 now_ns)
{
    *line = (RelayLineRate){.since_ns = now_ns,
                            .hurried_ns = now_ns - RELAY_LINE_RATE_CALM_NS,
                            .marked_ns = now_ns - RELAY_LINE_RATE_MARK_EVERY_NS};
    begin_flood(line, now_ns);
    relay_line_rate_need(line, need_bps);
}

void relay_line_rate_need(RelayLineRate *line, gint64 need_bps)
{
    line->need_bps = need_bps;
    if (!line->ceiling_bps && line->rate_bps < floor_of(line))
        set_rate(line, floor_of(line));
}

void relay_line_rate_fail(RelayLineRate *line, gint64 need_bps)
{
    line->proven_bps = MIN(line->proven_bps, need_bps);
}

void relay_line_rate_hope(RelayLineRate *line, gint64 need_bps)
{
    line->ceiling_bps = 0;
    relay_line_rate_need(line, need_bps);
}

static gboolean knows_empty(const RelayLineRate *line, gint64 now_ns)
{
    return line->samples == RELAY_LINE_RATE_SAMPLES &&
           now_ns - line->rtt_at_ns < RELAY_LINE_RATE_STALE_NS;
}

static gboolean is_calm(const RelayLineRate *line, gint64 now_ns)
{
    return now_ns - line->hurried_ns >= RELAY_LINE_RATE_CALM_NS;
}

// A burst from which something can be learnt: frames of a few packets are none.
static gboolean is_long(const RelayLineRate *line)
{
    return line->bytes >=
           MIN(RELAY_LINE_RATE_PROBE_BYTES, bytes_in(line->rate_bps, 100 * TK_NS_PER_MS));
}

static void begin_stretch(RelayLineRate *line, gint64 queue_ns, gint64 now_ns)
{
    line->since_ns = now_ns;
    line->bytes = 0;
    line->queue_before_ns = queue_ns;
}

static void begin_probe(RelayLineRate *line, gint64 now_ns)
{
    if (!knows_empty(line, now_ns) || line->unsure || line->rate_bps >= RELAY_LINE_RATE_MAX_BPS)
        return;
    if (line->ceiling_bps && now_ns - line->ceiling_ns < RELAY_LINE_RATE_PROBE_AGAIN_NS)
        return;
    line->probe_bps = line->rate_bps * (line->rtt_ns <= RELAY_LINE_RATE_NEAR_NS ? 4 : 2);
    if (line->ceiling_bps)
        line->probe_bps = line->rate_bps * 5 / 4;
    line->probe_room =
        CLAMP(RELAY_LINE_RATE_PROBE_BYTES, bytes_in(line->rate_bps, RELAY_LINE_RATE_PROBE_MIN_NS),
              bytes_in(line->rate_bps, RELAY_LINE_RATE_PROBE_MAX_NS));
    line->probe_out = 0;
    line->told = FALSE;
    begin_stretch(line, 0, now_ns); // nothing waits in the line, or it would not be probed
}

static void begin_burst(RelayLineRate *line, gint64 now_ns)
{
    // One question at a time, for players that report every few seconds: their next report speaks
    // of the newest.
    line->told = line->mark.burst && now_ns - line->marked_ns < RELAY_LINE_RATE_MARK_EVERY_NS;
    line->burst_ns = now_ns;
    begin_stretch(line, 0, now_ns);
    if (!line->told)
        begin_probe(line, now_ns);
}

// A probe is over when its excess is out, or with its burst; then it tells something if half was.
static gboolean probe(RelayLineRate *line, gsize bytes)
{
    line->probe_out += (gint64)((double)bytes * (double)(line->probe_bps - line->rate_bps) /
                                (double)line->probe_bps);
    if (line->probe_out >= line->probe_room)
        return TRUE;
    if (line->full)
        return FALSE;
    if (line->probe_out >= line->probe_room / 2)
        return TRUE;
    line->probe_bps = 0;
    return FALSE;
}

void relay_line_rate_aim(RelayLineRate *line, gint64 target_bps)
{
    line->target_bps = target_bps;
}

gint64 relay_line_rate_try(RelayLineRate *line, gint64 now_ns)
{
    if (line->target_bps <= line->proven_bps || line->full || line->probe_bps ||
        !knows_empty(line, now_ns) || !is_calm(line, now_ns) ||
        now_ns - line->tried_ns < RELAY_LINE_RATE_TRY_EVERY_NS ||
        (line->mark.out && now_ns - line->marked_ns < RELAY_LINE_RATE_TRY_EVERY_NS))
        return 0;
    line->tried_ns = line->hurried_ns = now_ns;
    gint64 known_bps = MIN(line->rate_bps, MAX(line->proven_bps, RELAY_LINE_RATE_MIN_BPS));
    line->try_bytes = CLAMP(bytes_in(known_bps, RELAY_LINE_RATE_PROBE_MAX_NS),
                            RELAY_LINE_RATE_TRY_MIN_BYTES, RELAY_LINE_RATE_PROBE_BYTES);
    return line->try_bytes;
}

gboolean relay_line_rate_sent(RelayLineRate *line, gsize bytes, gboolean full, gint64 now_ns)
{
    gboolean was_full = line->full;
    line->full = full;
    if (full && !was_full)
        begin_burst(line, now_ns);
    line->bytes += (gint64)bytes;
    line->flood.bytes += (gint64)bytes;
    line->sent_bytes += (gint64)bytes;
    if (line->try_bytes)
        line->try_bytes = (gint64)bytes; // with what left at the same time
    if (!was_full)
        return FALSE;
    // Until the first probe the line is taken to carry the beginning's rate.
    if (line->probe_bps || (line->samples == RELAY_LINE_RATE_SAMPLES && is_long(line) &&
                            now_ns - line->burst_ns < RELAY_LINE_RATE_ENDLESS_NS))
        line->hurried_ns = now_ns;
    if (line->probe_bps)
        line->due = probe(line, bytes);
    if (!line->probe_bps && !full && !line->told)
        line->due = is_long(line) && knows_empty(line, now_ns);
    line->told |= line->due;
    return line->due;
}

gboolean relay_line_rate_expects(const RelayLineRate *line, gint64 now_ns)
{
    return line->mark.out && now_ns - line->marked_ns < RELAY_LINE_RATE_PATIENCE_NS &&
           (line->mark.probe_bps || line->mark.try_bytes || !knows_empty(line, now_ns));
}

gboolean relay_line_rate_curious(const RelayLineRate *line, gint64 now_ns)
{
    // Whether they come of a queue is to be known soon.
    gboolean asked = line->mark.out && (line->mark.burst || line->mark.try_bytes);
    if (line->came_queue_ns > RELAY_LINE_RATE_BURIED_NS &&
        now_ns - line->marked_ns >= RELAY_LINE_RATE_PASSING_EVERY_NS)
        return TRUE;
    if (!line->full && !asked && line->lossy_ns &&
        now_ns - line->lossy_ns < RELAY_LINE_RATE_MARK_EVERY_NS &&
        now_ns - line->marked_ns >= RELAY_LINE_RATE_MARK_EVERY_NS)
        return TRUE;
    if (line->mark.out || !is_calm(line, now_ns))
        return FALSE;
    if (line->samples < RELAY_LINE_RATE_SAMPLES)
        return now_ns - line->marked_ns >= RELAY_LINE_RATE_SAMPLE_EVERY_NS;
    return !line->full && now_ns - line->rtt_at_ns >= RELAY_LINE_RATE_REFRESH_NS;
}

static void remember(RelayLineRate *line, guint32 key, gint64 now_ns)
{
    if (now_ns - line->passing[line->passing_at].sent_ns < RELAY_LINE_RATE_PASSING_EVERY_NS)
        return;
    line->passing_at = (line->passing_at + 1) % RELAY_LINE_RATE_PASSING;
    line->passing[line->passing_at].key = key;
    line->passing[line->passing_at].sent_ns = now_ns;
    line->passing[line->passing_at].bytes = line->sent_bytes;
}

void relay_line_rate_mark(RelayLineRate *line, guint32 key, gint64 now_ns)
{
    remember(line, key, now_ns);
    line->marked_ns = now_ns;
    line->mark.key = key;
    line->mark.out = TRUE;
    line->mark.burst = (line->full || line->due) && is_long(line);
    line->mark.calm = is_calm(line, now_ns);
    line->mark.lost = FALSE;
    line->mark.bytes = line->bytes;
    line->mark.span_ns = now_ns - line->since_ns;
    line->mark.queue_before_ns = line->queue_before_ns;
    line->mark.probe_bps = line->due ? line->probe_bps : 0;
    line->mark.try_bytes = line->try_bytes;
    line->try_bytes = 0;
    if (line->due)
        line->probe_bps = 0;
    line->due = FALSE;
    if (!line->full || line->mark.span_ns > RELAY_LINE_RATE_ENDLESS_NS)
        begin_stretch(line, line->queue_ns, now_ns);
}

static void slower(RelayLineRate *line, gint64 to_bps, gint64 passed_bps, gint64 now_ns)
{
    line->ceiling_bps = passed_bps;
    line->ceiling_ns = now_ns;
    line->probe_bps = 0;
    line->unsure = FALSE;
    set_rate(line, to_bps);
}

// The line is full at what it carried meanwhile; a tenth less lets the queue drain.
static void take_queue(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns)
{
    gboolean deep =
        line->queue_ns > RELAY_LINE_RATE_DEEP_NS && report->fraction_lost >= RELAY_LINE_RATE_LOSSY;
    if (!line->mark.burst && (!deep || line->mark.span_ns < RELAY_LINE_RATE_MARK_EVERY_NS))
        return; // somebody else's
    gint64 wait_ns = MAX(line->queue_ns - line->mark.queue_before_ns, 0);
    gint64 arrived = line->mark.bytes * (256 - report->fraction_lost) / 256;
    gint64 passed_bps = rate_of(arrived, line->mark.span_ns + wait_ns),
           to_bps = passed_bps / 10 * 9;
    line->proven_bps = passed_bps;
    if (!deep)
        to_bps = MAX(to_bps, MIN(line->rate_bps, floor_of(line)));
    slower(line, to_bps, passed_bps, now_ns);
}

static void count_losses(RelayLineRate *line, const RelayQuestion *report)
{
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        if (line->flood.sources[i].ssrc && line->flood.sources[i].ssrc != report->ssrc)
            continue;
        gint32 expected = (gint32)(report->highest - line->flood.sources[i].highest);
        if (line->flood.sources[i].ssrc && expected > 0) {
            line->flood.expected += expected;
            line->flood.lost +=
                CLAMP((gint64)report->lost - line->flood.sources[i].lost, 0, expected);
        }
        line->flood.sources[i].ssrc = report->ssrc;
        line->flood.sources[i].highest = report->highest;
        line->flood.sources[i].lost = report->lost;
        return;
    }
}

static void take_flood(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns)
{
    gint64 span_ns = now_ns - line->flood.since_ns;
    count_losses(line, report);
    line->flood.reports++;
    line->flood.deep += line->samples && report->rtt_ns - line->rtt_ns > RELAY_LINE_RATE_DEEP_NS;
    if (span_ns < RELAY_LINE_RATE_FLOOD_NS || line->flood.expected < RELAY_LINE_RATE_FLOOD_PACKETS)
        return;
    gint64 lost = line->flood.lost * 256 / line->flood.expected;
    gboolean deep = line->flood.deep * 2 > line->flood.reports && lost >= RELAY_LINE_RATE_LOSSY;
    gboolean drowned = lost >= RELAY_LINE_RATE_FLOOD_LOST;
    if (!deep && drowned && !line->drowned && span_ns < 4 * RELAY_LINE_RATE_FLOOD_NS)
        return; // let it be sure
    gint64 passed_bps = rate_of(line->flood.bytes * (256 - lost) / 256, span_ns);
    if ((deep || (drowned && line->drowned)) && passed_bps < line->rate_bps) {
        line->proven_bps = passed_bps;
        slower(line, passed_bps / 10 * 9, passed_bps, now_ns);
    }
    line->drowned = drowned;
    begin_flood(line, now_ns);
}

// How long the oldest sender report is under way that is not known to have come.
static gint64 under_way_ns(const RelayLineRate *line, guint32 newest, gint64 now_ns)
{
    gint64 oldest_ns = now_ns;
    if (newest == line->mark.key) // none is: it is told of the last one
        return 0;
    for (guint i = 0; i < RELAY_LINE_RATE_PASSING; i++)
        if (line->passing[i].sent_ns > line->came_sent_ns)
            oldest_ns = MIN(oldest_ns, line->passing[i].sent_ns);
    return now_ns - oldest_ns;
}

// What left between two sender reports has come between their comings. Where the queue stays as it
// is it may be somebody else's: what was taken back is given again, in steps. Our own drains.
static void take_coming(RelayLineRate *line, guint at, gint64 queue_ns, gint64 now_ns)
{
    gint64 grown_ns = queue_ns - line->came_queue_ns;
    gint64 span_ns = line->passing[at].sent_ns - line->came_sent_ns;
    gint64 passed_bps = rate_of(line->passing[at].bytes - line->came_bytes, span_ns + grown_ns);
    gboolean buried = line->came_sent_ns && queue_ns > RELAY_LINE_RATE_BURIED_NS &&
                      line->buried_ns && now_ns - line->buried_ns >= RELAY_LINE_RATE_FLOOD_NS;
    if (buried && grown_ns > span_ns / 8 && passed_bps < line->rate_bps) {
        line->proven_bps = passed_bps;
        slower(line, passed_bps / 4 * 3, passed_bps, now_ns);
    } else if (buried && ABS(grown_ns) <= span_ns / 16 && line->full &&
               line->rate_bps < floor_of(line)) {
        set_rate(line, line->rate_bps / 4 * 5);
    }
    line->came_sent_ns = line->passing[at].sent_ns;
    line->came_bytes = line->passing[at].bytes;
    line->came_queue_ns = queue_ns;
}

static void take_passing(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns)
{
    gint64 queue_ns = report->rtt_ns - line->rtt_ns;
    if (!line->samples)
        return;
    for (guint i = 0; i < RELAY_LINE_RATE_PASSING; i++)
        if (line->passing[i].key == report->last_sr &&
            line->passing[i].sent_ns > line->came_sent_ns)
            take_coming(line, i, queue_ns, now_ns);
    if (MAX(queue_ns, under_way_ns(line, report->last_sr, now_ns) - line->rtt_ns) <=
        RELAY_LINE_RATE_BURIED_NS)
        line->buried_ns = 0;
    else if (!line->buried_ns)
        line->buried_ns = now_ns;
}

// Who loses keeps what the lesson needs: lines that lose as they please would starve otherwise.
static void take_loss(RelayLineRate *line, gint64 now_ns)
{
    if (line->mark.lost)
        return;
    line->mark.lost = TRUE;
    if (line->rate_bps > floor_of(line))
        slower(line, MAX(line->rate_bps / 10 * 7, floor_of(line)), line->rate_bps, now_ns);
}

static void take_probe(RelayLineRate *line)
{
    set_rate(line, MAX(line->mark.probe_bps, line->rate_bps));
    line->proven_bps = MAX(line->proven_bps, line->mark.probe_bps);
    if (line->rate_bps > line->ceiling_bps)
        line->ceiling_bps = 0;
    line->unsure = line->rtt_ns > RELAY_LINE_RATE_NEAR_NS;
}

// It left without a queue: so much passes at least.
static void take_burst(RelayLineRate *line, gboolean lossy)
{
    line->unsure = FALSE;
    if (!lossy)
        line->proven_bps = MAX(line->proven_bps, rate_of(line->mark.bytes, line->mark.span_ns));
}

// All of it left at once: the wait behind it tells what passes, if only that it is no shorter than
// what a wait can be told from.
static void take_try(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns)
{
    gint64 least_ns = RELAY_LINE_RATE_JITTER_NS + line->rtt_ns / 8;
    gint64 arrived = line->mark.try_bytes * (256 - report->fraction_lost) / 256;
    gint64 passed_bps = rate_of(arrived, MAX(line->queue_ns, least_ns));
    if (passed_bps < line->target_bps) {
        gint64 enough_bps = MIN(passed_bps, line->need_bps);
        slower(line, MAX(passed_bps / 10 * 9, enough_bps), passed_bps, now_ns);
    } else {
        set_rate(line, MAX(line->rate_bps, line->target_bps));
        line->ceiling_bps = 0;
    }
    line->proven_bps = MIN(passed_bps, line->target_bps);
}

// The way has become longer by what the shortest round trip of a window has. What still waits of a
// flood gets less and less; a way stays as long as it is, if only at its shortest.
static gboolean is_the_way(const RelayLineRate *line)
{
    return line->least_ns - line->rtt_ns <= RELAY_LINE_RATE_DEEP_NS ||
           line->most_ns - line->least_ns <= RELAY_LINE_RATE_DEEP_NS ||
           ABS(line->least_ns - line->before_ns) <= RELAY_LINE_RATE_DEEP_NS;
}

static void take_empty(RelayLineRate *line, gint64 rtt_ns, gint64 now_ns)
{
    if (line->samples && rtt_ns >= RELAY_QUESTION_RTT_MAX_NS)
        return; // it took that or longer
    if (!line->samples)
        line->rtt_ns = line->least_ns = rtt_ns;
    line->least_ns = MIN(line->least_ns, rtt_ns);
    line->most_ns = MAX(line->most_ns, rtt_ns);
    if (now_ns - line->window_ns >= RELAY_LINE_RATE_WINDOW_NS) {
        if (is_the_way(line))
            line->rtt_ns = line->least_ns;
        line->before_ns = line->least_ns;
        line->least_ns = line->most_ns = rtt_ns;
        line->window_ns = now_ns;
    }
    line->rtt_ns = MIN(line->rtt_ns, rtt_ns);
    line->rtt_at_ns = now_ns;
    line->samples = MIN(line->samples + 1, RELAY_LINE_RATE_SAMPLES);
    if (rtt_ns <= RELAY_LINE_RATE_NEAR_NS)
        line->samples = RELAY_LINE_RATE_SAMPLES;
}

void relay_line_rate_report(RelayLineRate *line, const RelayQuestion *report, gint64 now_ns)
{
    gboolean lossy = report->fraction_lost >= RELAY_LINE_RATE_LOSSY;
    gboolean answer = line->mark.out && report->last_sr == line->mark.key;
    if (answer && line->samples == RELAY_LINE_RATE_SAMPLES) {
        line->rtt_ns = MIN(line->rtt_ns, report->rtt_ns);
        line->queue_ns = report->rtt_ns - line->rtt_ns;
        if (line->mark.try_bytes)
            take_try(line, report, now_ns);
        else if (line->queue_ns > RELAY_LINE_RATE_JITTER_NS + line->rtt_ns / 8)
            take_queue(line, report, now_ns);
        else if (line->mark.probe_bps && !lossy)
            take_probe(line);
        else if (line->mark.burst)
            take_burst(line, lossy);
    }
    if (lossy)
        take_loss(line, now_ns);
    if (lossy)
        line->lossy_ns = now_ns;
    take_flood(line, report, now_ns);
    take_passing(line, report, now_ns);
    if (!answer)
        return;
    // What waits behind losses is no empty line, however long it does.
    if (line->mark.calm &&
        !(lossy && line->samples && report->rtt_ns - line->rtt_ns > RELAY_LINE_RATE_DEEP_NS))
        take_empty(line, report->rtt_ns, now_ns);
    line->mark.out = FALSE;
    if (line->full && !line->probe_bps)
        begin_probe(line, now_ns);
}
