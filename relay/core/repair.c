// SPDX-License-Identifier: MIT
#include "relay/core/repair.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "common/media/rtp.h"
#include "relay/core/pacer.h"

struct _RelayRepairIndex {
    guint64 positions[RELAY_INPUT_TRACKS_MAX][RELAY_REPAIR_INDEX];
};

RelayRepairIndex *relay_repair_index_new(void)
{
    return g_new0(RelayRepairIndex, 1);
}

void relay_repair_index_free(RelayRepairIndex *index)
{
    g_free(index);
}

void relay_repair_index_note(RelayRepairIndex *index, const RelayUnit *unit, guint64 position)
{
    index->positions[unit->track][unit->number % RELAY_REPAIR_INDEX] = position;
}

RelayUnit *relay_repair_index_find(const RelayRepairIndex *index, const RelayHistory *history,
                                   guint track, guint64 number)
{
    guint64 position = index->positions[track][number % RELAY_REPAIR_INDEX];
    RelayUnit *unit = relay_history_at(history, position);
    return unit && unit->track == track && unit->number == number ? unit : NULL;
}

typedef struct {
    guint64 number;
    guint32 asked_ms, answered_ms; // first; last, when it left
    guint16 tries, waiting;
} Recent;

typedef struct {
    guint64 number;
    gint64 due_ns;
    guint track;
    gboolean sound;
} Waiting;

struct _RelayRepair {
    Recent recent[RELAY_INPUT_TRACKS_MAX][RELAY_REPAIR_RECENT]; // at number modulo the length
    Waiting waiting[RELAY_REPAIR_QUEUE]; // sound first, in the order of asking
    guint count, at;                     // at: what next() gave
    guint32 now_ms;                      // then
    RelayPacer budget;
    guint32 patience_ms; // the longest time that it was seen to ask for a packet
    RelayRepairStats stats;
};

RelayRepair *relay_repair_new(gint64 now_ns)
{
    RelayRepair *repair = g_new0(RelayRepair, 1);
    relay_pacer_init(&repair->budget, 0, RELAY_REPAIR_BURST_MIN, now_ns);
    repair->patience_ms = RELAY_REPAIR_PATIENCE_NS / TK_NS_PER_MS;
    return repair;
}

void relay_repair_free(RelayRepair *repair)
{
    g_free(repair);
}

// RFC 3550 section 6.4.1: the viewer's round trip by our own clock, in 1/65536 s.
static gint64 round_trip(const TkRtcpReport *report, gint64 wall_ns)
{
    guint32 now = (guint32)(tk_clock_ntp_from_wall(wall_ns) >> 16);
    gint32 units = (gint32)(now - report->last_sr - report->delay_since_sr);
    return CLAMP(units * TK_NS_PER_S / 65536, 0, RELAY_QUESTION_RTT_MAX_NS);
}

// Only what sends sender reports can have one to refer to: not the retransmissions.
static void read_report(const TkRtcp *part, gint64 wall_ns, RelayQuestion *ret)
{
    for (guint i = 0; i < part->reports_count; i++) {
        const TkRtcpReport *report = &part->reports[i];
        if (!report->last_sr)
            continue;
        ret->reported = TRUE;
        ret->ssrc = report->ssrc;
        ret->last_sr = report->last_sr;
        ret->rtt_ns = round_trip(report, wall_ns);
        ret->fraction_lost = report->fraction_lost;
        ret->highest = report->highest_sequence;
        ret->lost = report->cumulative_lost;
    }
}

static void read_nack(const TkRtcp *part, RelayQuestion *ret)
{
    gsize cursor = 0;
    if ((ret->reported || ret->count) && part->media_ssrc != ret->ssrc)
        return;
    ret->ssrc = part->media_ssrc;
    while (ret->count < RELAY_REPAIR_ASKED_MAX &&
           tk_rtcp_nack_next(part, &cursor, &ret->sequences[ret->count]))
        ret->count++;
}

gboolean relay_repair_read(const guint8 *rtcp, gsize size, gint64 wall_ns, RelayQuestion *ret)
{
    TkRtcp part;
    gsize offset = 0;
    ret->reported = FALSE;
    ret->count = 0;
    while (tk_rtcp_next(rtcp, size, &offset, &part)) {
        if (part.type == TK_RTCP_RECEIVER_REPORT)
            read_report(&part, wall_ns, ret);
        else if (part.type == TK_RTCP_NACK)
            read_nack(&part, ret);
    }
    return ret->reported || ret->count > 0;
}

void relay_repair_line_note(RelayRepairLine *line, const RelayQuestion *question)
{
    if (!question->reported)
        return;
    gint64 rtt_ns = MIN(question->rtt_ns, RELAY_REPAIR_RTT_MAX_NS);
    if (!line->known) {
        line->rtt_ns = rtt_ns;
        line->loss = question->fraction_lost * RELAY_REPAIR_SMOOTH;
    }
    line->known = TRUE;
    line->rtt_ns += (rtt_ns - line->rtt_ns) / RELAY_REPAIR_SMOOTH;
    // A report that comes with a question tells of a few packets only.
    line->loss += question->fraction_lost - line->loss / RELAY_REPAIR_SMOOTH;
}

static void set_budget(RelayRepair *repair, gint64 rate_bps)
{
    repair->budget.rate_bps = rate_bps / RELAY_REPAIR_SHARE;
    // As much at once as the share of half a second.
    repair->budget.depth = MAX(repair->budget.rate_bps / 16, RELAY_REPAIR_BURST_MIN);
}

static Recent *recent_of(RelayRepair *repair, guint track, guint64 number)
{
    return &repair->recent[track][number % RELAY_REPAIR_RECENT];
}

// Sound goes before pictures, and where pictures have used all that may leave.
static gboolean enqueue(RelayRepair *repair, guint track, const RelayUnit *unit, gint64 due_ns,
                        gint64 now_ns)
{
    gboolean sound = (unit->flags & RELAY_UNIT_SOUND) != 0;
    guint at = repair->count;
    if (repair->count == RELAY_REPAIR_QUEUE ||
        !(sound ? relay_pacer_urgent : relay_pacer_ready)(&repair->budget, now_ns))
        return FALSE;
    while (sound && at > 0 && !repair->waiting[at - 1].sound)
        at--;
    memmove(&repair->waiting[at + 1], &repair->waiting[at],
            (repair->count - at) * sizeof repair->waiting[0]);
    relay_pacer_spend(&repair->budget, unit->bytes);
    repair->waiting[at] = (Waiting){unit->number, due_ns, track, sound};
    repair->count++;
    recent_of(repair, track, unit->number)->waiting++;
    return TRUE;
}

// How often the answer goes: once as long as another would come in time if it were lost, or when
// what may leave is better spent on other packets.
static guint copies(const RelayRepair *repair, const Recent *recent, const RelayRepairLine *line,
                    guint32 rtt_ms, guint32 waited_ms)
{
    if (repair->count >= RELAY_REPAIR_QUEUE / 2 || repair->budget.tokens < repair->budget.depth / 2)
        return 1;
    if (recent->tries > 0)
        return 2;
    if (line->loss < RELAY_REPAIR_LOSSY * RELAY_REPAIR_SMOOTH)
        return 1;
    guint32 next_ms = rtt_ms + RELAY_REPAIR_ASKS_EVERY_NS / TK_NS_PER_MS;
    return waited_ms + next_ms + rtt_ms <= repair->patience_ms ? 1 : 2;
}

// FALSE: nothing will be sent that has not been sent a moment ago.
static gboolean answer(RelayRepair *repair, guint track, const RelayUnit *unit,
                       const RelayRepairLine *line, gint64 now_ns)
{
    guint32 now_ms = (guint32)(now_ns / TK_NS_PER_MS);
    gint64 rtt_ns = line->known ? line->rtt_ns : RELAY_REPAIR_RTT_GUESS_NS;
    guint32 rtt_ms = (guint32)(MAX(rtt_ns, RELAY_REPAIR_AGAIN_NS) / TK_NS_PER_MS);
    // Players ask for what they expect by now. It may still be on its way.
    gint64 age_ns = now_ns - unit->arrived_ns;
    if (line->known && age_ns < rtt_ns - rtt_ns / 8)
        return TRUE;
    Recent *recent = recent_of(repair, track, unit->number);
    if (recent->number != unit->number)
        *recent = (Recent){.number = unit->number, .asked_ms = now_ms};
    repair->patience_ms = MAX(repair->patience_ms, now_ms - recent->asked_ms);
    if (recent->waiting || (recent->tries > 0 && now_ms - recent->answered_ms < rtt_ms))
        return TRUE;
    if (recent->tries == RELAY_REPAIR_TRIES_MAX || !enqueue(repair, track, unit, now_ns, now_ns))
        return FALSE;
    // Earlier questions may have been lost.
    guint32 waited_ms = now_ms - recent->asked_ms, age_ms = (guint32)(age_ns / TK_NS_PER_MS);
    waited_ms = MAX(waited_ms, MAX(age_ms, rtt_ms) - rtt_ms);
    if (copies(repair, recent, line, rtt_ms, waited_ms) > 1)
        (void)!enqueue(repair, track, unit, now_ns + RELAY_REPAIR_SPREAD_NS, now_ns);
    recent->tries++;
    return TRUE;
}

void relay_repair_ask(RelayRepair *repair, const RelayRepairIndex *index,
                      const RelayHistory *history, guint track, const RelayRepairSpan *span,
                      guint64 position, const RelayRepairLine *line, const RelayQuestion *question,
                      gint64 rate_bps, gint64 now_ns)
{
    set_budget(repair, rate_bps);
    repair->stats.asked += question->count;
    for (guint i = 0; i < question->count; i++) {
        guint64 number = tk_rtp_unwrap(span->last, question->sequences[i], 16);
        RelayUnit *unit = NULL;
        if (span->first && number >= span->first && number <= span->last)
            unit = relay_repair_index_find(index, history, track, number);
        // It overtook others on its way to us and comes in its turn.
        if (unit && index->positions[track][number % RELAY_REPAIR_INDEX] >= position)
            continue;
        if (!unit || !answer(repair, track, unit, line, now_ns))
            repair->stats.unanswered++;
    }
}

static void drop_waiting(RelayRepair *repair, guint at)
{
    const Waiting *w = &repair->waiting[at];
    Recent *recent = recent_of(repair, w->track, w->number);
    if (recent->number == w->number && recent->waiting) {
        recent->waiting--;
        recent->answered_ms = repair->now_ms;
    }
    repair->count--;
    memmove(&repair->waiting[at], &repair->waiting[at + 1],
            (repair->count - at) * sizeof repair->waiting[0]);
}

RelayUnit *relay_repair_next(RelayRepair *repair, const RelayRepairIndex *index,
                             const RelayHistory *history, gint64 now_ns)
{
    repair->now_ms = (guint32)(now_ns / TK_NS_PER_MS);
    for (guint at = 0; at < repair->count;) {
        const Waiting *w = &repair->waiting[at];
        if (w->due_ns > now_ns) {
            at++;
            continue;
        }
        RelayUnit *unit = relay_repair_index_find(index, history, w->track, w->number);
        repair->at = at;
        if (unit)
            return unit;
        drop_waiting(repair, at);
    }
    return NULL;
}

void relay_repair_done(RelayRepair *repair)
{
    drop_waiting(repair, repair->at);
    repair->stats.resent++;
}

gboolean relay_repair_waiting(const RelayRepair *repair)
{
    return repair->count > 0;
}

void relay_repair_forget(RelayRepair *repair)
{
    repair->count = 0;
    memset(repair->recent, 0, sizeof repair->recent);
}

guint32 relay_repair_ssrc(guint32 media_ssrc)
{
    return media_ssrc ^ 0x52545800; // never the same; "RTX"
}

RelayUnit *relay_repair_rtx(const RelayUnit *unit, const guint8 *header, guint16 sequence)
{
    TkRtp rtp;
    gboolean valid = tk_rtp_parse(unit->data, unit->bytes, &rtp);
    g_assert(valid); // it came in as one
    gsize head = (gsize)(rtp.payload - unit->data), tail = unit->bytes - head;
    RelayUnit *rtx = relay_unit_new(head + 2 + tail);
    memcpy(rtx->data, unit->data, head);
    if (header)
        memcpy(rtx->data, header, TK_RTP_HEADER_BYTES);
    TkReader r = tk_reader(rtx->data + 2, TK_RTP_HEADER_BYTES - 2);
    guint16 original = tk_reader_u16(&r);
    guint32 timestamp = tk_reader_u32(&r), ssrc = tk_reader_u32(&r);
    tk_poke(rtx->data + head, original, 2);
    memcpy(rtx->data + head + 2, unit->data + head, tail);
    tk_rtp_rewrite(rtx->data, rtp.payload_type + RELAY_REPAIR_PT_STEP, sequence, timestamp,
                   relay_repair_ssrc(ssrc));
    rtx->track = unit->track;
    rtx->number = unit->number;
    rtx->rtp_timestamp = timestamp;
    return rtx;
}

const RelayRepairStats *relay_repair_stats(const RelayRepair *repair)
{
    return &repair->stats;
}
