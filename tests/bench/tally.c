// SPDX-License-Identifier: MIT
#include "tests/bench/tally.h"

#include <string.h>

#include "common/media/cmaf_read.h"
#include "common/media/rtp.h"
#include "tests/bench/loop.h"

LoadCourse *load_course_new(LoadTally *tally)
{
    LoadCourse *course = g_new0(LoadCourse, 1);
    course->tally = tally;
    return course;
}

static gboolean judged(const LoadTally *tally, gint64 stamp_ns)
{
    return stamp_ns >= tally->from_ns && stamp_ns < tally->to_ns;
}

void load_course_sent(LoadCourse *course, LoadStampKind kind, gint64 ns)
{
    if (judged(course->tally, ns))
        course->sent[kind]++;
}

void load_count_begin(LoadCount *count)
{
    count->asked_ns = load_now_ns();
    count->first_ns = 0;
    count->last_chunk = 0;
    for (guint i = 0; i < LOAD_TRACKS; i++)
        count->flows[i] = (LoadFlow){0};
}

static void came(LoadCount *count, gsize size, gint64 at_ns)
{
    if (!count->first_ns)
        count->first_ns = at_ns;
    count->packets++;
    count->bytes += size;
}

gboolean load_tally_disturbed(const LoadTally *tally, gint64 ns)
{
    return tally->phase_ns && ns >= tally->from_ns && ns < tally->to_ns &&
           (ns - tally->from_ns) / tally->phase_ns % 2 == 1;
}

// What an impaired viewer sees says nothing about the relay.
static void add_delay(LoadCount *count, gint64 stamp_ns, gint64 at_ns)
{
    LoadTally *tally = count->course->tally;
    count->behind_ns = at_ns - stamp_ns;
    if (!judged(tally, stamp_ns) || count->impaired)
        return;
    gboolean disturbed = load_tally_disturbed(tally, stamp_ns);
    load_histogram_add(&tally->times[disturbed][count->way].delay, at_ns - stamp_ns);
    load_histogram_add(&tally->recent[count->way], at_ns - stamp_ns);
}

static void add_late(LoadCount *count, gint64 first_ns, gint64 at_ns)
{
    LoadTally *tally = count->course->tally;
    gboolean disturbed = load_tally_disturbed(tally, first_ns);
    if (judged(tally, first_ns) && !count->impaired)
        load_histogram_add(&tally->times[disturbed][count->way].late, at_ns - first_ns);
}

gboolean load_flow_has(const LoadFlow *flow, guint64 number)
{
    guint place = number % LOAD_FLOW_PACKETS;
    return flow->seen[place / 64] >> place % 64 & 1;
}

static void mark(LoadFlow *flow, guint64 number, gboolean came)
{
    guint place = number % LOAD_FLOW_PACKETS;
    guint64 bit = G_GUINT64_CONSTANT(1) << place % 64;
    flow->seen[place / 64] = came ? flow->seen[place / 64] | bit : flow->seen[place / 64] & ~bit;
}

static void take_sequence(LoadCount *count, LoadFlow *flow, guint16 sequence)
{
    if (!flow->begun) {
        *flow = (LoadFlow){.begun = TRUE, .newest = G_MAXUINT16 + 1 + (guint64)sequence};
        memset(flow->seen, 0xff, sizeof flow->seen);
        return;
    }
    gint step = tk_rtp_seq_distance(sequence, (guint16)flow->newest);
    guint64 number = flow->newest + (guint64)(gint64)step;
    if (step > 0) {
        count->missing += (guint64)step - 1;
        for (guint i = 1; i < MIN((guint)step, LOAD_FLOW_PACKETS); i++)
            mark(flow, number - i, FALSE);
        mark(flow, number, TRUE);
        flow->newest = number;
    } else if (step <= -LOAD_FLOW_PACKETS || load_flow_has(flow, number)) {
        count->doubles++;
    } else {
        mark(flow, number, TRUE);
        count->reordered++;
        count->missing -= count->missing > 0;
    }
}

// The stamp stands behind two bytes of slice header, or at the beginning of the AAC frame.
static gboolean packet_stamp(const TkRtp *rtp, LoadTrack *ret_track, LoadStampKind *ret_kind,
                             gint64 *ret_ns)
{
    const gsize places[] = {4, 3};
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        gsize at = places[i];
        if (rtp->payload_bytes > at &&
            load_stamp_read(rtp->payload + at, rtp->payload_bytes - at, ret_kind, ret_ns)) {
            *ret_track = *ret_kind == LOAD_STAMP_SOUND ? LOAD_SOUND : LOAD_VIDEO;
            return TRUE;
        }
    }
    *ret_track = rtp->payload_type == LOAD_SOUND_TYPE ? LOAD_SOUND : LOAD_VIDEO;
    return FALSE;
}

void load_count_rtp(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns)
{
    TkRtp rtp;
    if (!tk_rtp_parse(data, size, &rtp))
        return;
    LoadTrack track;
    LoadStampKind kind;
    gint64 stamp_ns = 0;
    gboolean stamped = packet_stamp(&rtp, &track, &kind, &stamp_ns);
    guint64 doubles = count->doubles;
    came(count, size, at_ns);
    take_sequence(count, &count->flows[track], rtp.sequence);
    if (count->doubles > doubles)
        return;
    LoadCourse *course = count->course;
    guint place = rtp.sequence % LOAD_FIRSTS;
    if (course->firsts[track][place].timestamp != rtp.timestamp ||
        !course->firsts[track][place].at_ns) {
        course->firsts[track][place].timestamp = rtp.timestamp;
        course->firsts[track][place].at_ns = at_ns;
    }
    add_late(count, course->firsts[track][place].at_ns, at_ns);
    if (!stamped)
        return;
    add_delay(count, stamp_ns, at_ns);
    count->judged += judged(course->tally, stamp_ns);
}

// Looks into it when it is the first of its kind to arrive; for all others the number will do.
static LoadPiece *find_piece(LoadCourse *course, guint64 id, guint place, const guint8 *data,
                             gsize size, gint64 at_ns)
{
    LoadPiece *piece = &course->pieces[place % LOAD_PIECES];
    if (piece->id == id && piece->first_ns)
        return piece;
    *piece = (LoadPiece){.id = id, .first_ns = at_ns};
    gsize offset = 0;
    gint64 stamp_ns;
    while (piece->frames_count < LOAD_PIECE_FRAMES &&
           load_stamp_find(data, size, &offset, &stamp_ns)) {
        piece->frames_ns[piece->frames_count++] = stamp_ns;
        piece->frames_judged += judged(course->tally, stamp_ns);
    }
    return piece;
}

static void take_piece(LoadCount *count, const LoadPiece *piece, gint64 at_ns)
{
    add_late(count, piece->first_ns, at_ns);
    for (guint i = 0; i < piece->frames_count; i++)
        add_delay(count, piece->frames_ns[i], at_ns);
    count->judged += piece->frames_judged;
}

void load_count_chunk(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns)
{
    TkCmafChunk chunk;
    gsize bytes;
    if (tk_cmaf_piece(data, size, &chunk, &bytes) != TK_CMAF_CHUNK)
        return;
    came(count, size, at_ns);
    if (count->last_chunk && chunk.sequence <= count->last_chunk) {
        count->doubles++;
        return;
    }
    if (count->last_chunk)
        count->missing += chunk.sequence - count->last_chunk - 1;
    count->last_chunk = chunk.sequence;
    const TkCmafRunInfo *run = &chunk.runs[0];
    if (chunk.runs_count && run->track_id == LOAD_VIDEO + 1)
        count->media_ns = (gint64)(run->decode_time + run->duration) * 100000 / 9; // 90 kHz
    take_piece(count, find_piece(count->course, chunk.sequence, chunk.sequence, data, size, at_ns),
               at_ns);
}

void load_count_picture(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns)
{
    gsize offset = 0;
    gint64 stamp_ns;
    came(count, size, at_ns);
    if (!load_stamp_find(data, size, &offset, &stamp_ns))
        return;
    // Pictures are 30 ms apart, so that 16 ms tell them from each other.
    take_piece(
        count,
        find_piece(count->course, (guint64)stamp_ns, (guint)(stamp_ns >> 24), data, size, at_ns),
        at_ns);
}
