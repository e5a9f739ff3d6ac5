// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include <string.h>

#include "common/media/rtp.h"

#define HOLE_MS 400 // a packet that was overtaken comes so late at most
#define RTX_STEP 2  // docs/protocol.md section 3: 98 for 96, 99 for 97
#define ROUNDING_TICKS 2
// Sound goes ahead of what waits: later it is only where its line does not carry it either, and
// for who has just come and is given a group of pictures first.
#define SOUND_WAITS_MS 1500
#define NEWCOMER_MS 5000
#define PICTURE_PT 96
#define SOUND_PT 97

static const guint frame_ticks[] = {STUDIO_FRAME_TICKS, STUDIO_SOUND_TICKS};
static const guint frame_step[] = {1, 2}; // main's pictures, low's

void rtp_check_init(RtpCheck *check)
{
    for (guint t = 0; t < 2; t++)
        check->tracks[t].sent = g_new0(RtpSent, RTP_CHECK_KEPT);
}

void rtp_check_clear(RtpCheck *check)
{
    for (guint t = 0; t < 2; t++)
        g_clear_pointer(&check->tracks[t].sent, g_free);
}

static RtpSent *sent_at(RtpTrack *t, guint64 number)
{
    return &t->sent[number % RTP_CHECK_KEPT];
}

static guint hash_of(const guint8 *data, gsize bytes)
{
    guint hash = 2166136261u;
    for (gsize i = 0; i < bytes; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

// A repair gives what the viewer was sent under that number, or what it would have been.
static void check_again(Watcher *w, RtpTrack *t, guint64 number, guint32 timestamp, guint hash)
{
    RtpSent *sent = sent_at(t, number);
    must(w, number <= t->highest);
    w->rtp.again++;
    if (sent->number != number) { // it was late, and its place was passed over
        must(w, t->holes > 0);
        t->holes--;
        *sent = (RtpSent){number, timestamp, hash};
        return;
    }
    must(w, sent->timestamp == timestamp);
    must(w, sent->hash == hash);
}

static void check_number(Watcher *w, RtpTrack *t, guint track, guint64 number, gboolean dropped)
{
    RtpSent *sent = sent_at(t, number);
    must(w, sent->number != number); // not twice
    if (t->started && number > t->highest + 1 && !(dropped && track == 0)) {
        t->holes += (guint)(number - t->highest - 1);
        t->hole_ms = w->hall->now_ms;
    } else if (t->started && number < t->highest) {
        must(w, t->holes > 0);
        t->holes--;
    }
    t->highest = t->started ? MAX(t->highest, number) : number;
    t->started = TRUE;
}

// Times go on with the frames, whatever stream they come from.
static void check_time(Watcher *w, guint track, guint frame, guint32 timestamp)
{
    RtpTrack *t = &w->rtp.tracks[track];
    guint32 base = timestamp - frame * frame_ticks[track];
    if (!t->timed)
        t->base = base;
    t->timed = TRUE;
    t->off = (gint32)(base - t->base);
    if (ABS(t->off) > ABS(t->worst))
        t->worst = t->off;
    must(w, ABS(t->off) <= ROUNDING_TICKS);
}

static void begin_picture(Watcher *w, guint32 timestamp)
{
    RtpCheck *c = &w->rtp;
    c->cut += c->open;
    must(w, !c->begun || (gint32)(timestamp - c->timestamp) > 0);
    c->timestamp = timestamp;
    c->begun = TRUE;
    c->part = 0;
    c->open = TRUE;
}

static void check_picture(Watcher *w, const TkRtp *rtp)
{
    RtpCheck *c = &w->rtp;
    StudioMark mark;
    c->pictures++;
    for (guint s = 0; s < STUDIO_STREAMS; s++) {
        if (!studio_is_config(rtp->payload, rtp->payload_bytes, s))
            continue;
        begin_picture(w, rtp->timestamp);
        c->stream = s;
        c->config = TRUE;
        return;
    }
    gboolean valid = studio_read_mark(rtp->payload, rtp->payload_bytes, &mark);
    must(w, valid);
    if (mark.part == 0 && mark.key) {
        must(w, c->config && c->open && c->timestamp == rtp->timestamp && c->stream == mark.stream);
        c->keys++;
    } else if (mark.part == 0) {
        must(w, c->begun && !c->open); // what it refers to is whole,
        must(w, mark.stream == c->stream && mark.frame == c->frame + frame_step[c->stream]);
        begin_picture(w, rtp->timestamp);
    }
    must(w, c->open && mark.stream == c->stream && rtp->timestamp == c->timestamp);
    must(w, mark.part == c->part && (mark.part == 0 || mark.frame == c->frame));
    c->config = FALSE;
    c->frame = mark.frame;
    c->part++;
    c->open = !mark.last;
    must(w, rtp->marker == mark.last);
    check_time(w, 0, mark.frame, rtp->timestamp);
}

static void check_sound(Watcher *w, const TkRtp *rtp)
{
    RtpCheck *c = &w->rtp;
    StudioMark mark;
    gboolean valid = studio_read_mark(rtp->payload, rtp->payload_bytes, &mark);
    must(w, valid);
    must(w, !c->sound || mark.frame == c->sound + 1);
    c->sound = mark.frame;
    must(w, w->crowd->kind != WATCHER_UDP || w->hall->now_ms - w->join_ms < NEWCOMER_MS ||
                w->hall->now_ms - studio_made_ms(1, mark.frame) <= SOUND_WAITS_MS);
    check_time(w, 1, mark.frame, rtp->timestamp);
}

static void check_retransmission(Watcher *w, const TkRtp *rtp, RtpSeen *ret)
{
    guint track = rtp->payload_type == SOUND_PT + RTX_STEP;
    RtpTrack *t = &w->rtp.tracks[track];
    must(w, !w->crowd->plain && t->started && rtp->payload_bytes > 2 && rtp->ssrc != t->ssrc);
    must(w, !t->rtx_started || rtp->sequence == (guint16)(t->rtx_sequence + 1));
    t->rtx_started = TRUE;
    t->rtx_sequence = rtp->sequence;
    guint16 original = (guint16)(rtp->payload[0] << 8 | rtp->payload[1]);
    *ret = (RtpSeen){track, TRUE, original, t->ssrc};
    check_again(w, t, tk_rtp_unwrap(t->highest, original, 16), rtp->timestamp,
                hash_of(rtp->payload + 2, rtp->payload_bytes - 2));
}

void rtp_check_sent(Watcher *watcher, const guint8 *packet, gsize bytes, guint64 dropped,
                    RtpSeen *ret)
{
    Watcher *w = watcher;
    TkRtp rtp;
    gboolean valid = tk_rtp_parse(packet, bytes, &rtp);
    must(w, valid);
    if (rtp.payload_type >= PICTURE_PT + RTX_STEP) {
        check_retransmission(w, &rtp, ret);
        return;
    }
    guint track = rtp.payload_type == SOUND_PT;
    RtpTrack *t = &w->rtp.tracks[track];
    guint hash = hash_of(rtp.payload, rtp.payload_bytes);
    guint64 number = t->started ? tk_rtp_unwrap(t->highest, rtp.sequence, 16)
                                : G_GUINT64_CONSTANT(65536) + rtp.sequence;
    must(w, rtp.payload_type == PICTURE_PT || rtp.payload_type == SOUND_PT);
    must(w, !t->started || rtp.ssrc == t->ssrc);
    t->ssrc = rtp.ssrc;
    *ret = (RtpSeen){track, FALSE, rtp.sequence, rtp.ssrc};
    // Who set up RTP/AVP gets the packet as it was; others when it is to be seen what passes.
    if (t->started && w->crowd->plain && sent_at(t, number)->number == number) {
        ret->again = TRUE;
        check_again(w, t, number, rtp.timestamp, hash);
        return;
    }
    check_number(w, t, track, number, dropped > w->rtp.dropped);
    *sent_at(t, number) = (RtpSent){number, rtp.timestamp, hash};
    if (track)
        check_sound(w, &rtp);
    else
        check_picture(w, &rtp);
    if (!track)
        w->rtp.dropped = dropped;
}

void rtp_check_tick(Watcher *watcher)
{
    Watcher *w = watcher;
    for (guint t = 0; t < 2; t++)
        must(w, !w->rtp.tracks[t].holes || w->hall->now_ms - w->rtp.tracks[t].hole_ms < HOLE_MS);
}
