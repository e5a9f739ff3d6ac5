// SPDX-License-Identifier: MIT
#include "tests/sim/player.h"

#include <string.h>

#include "common/media/rtp.h"

// By our player's settings.
#define RTCP_INTERVAL_MS 20
#define REPORT_EVERY_MS 1000

static void look_for(Player *p, PlayerTrack *t, guint64 from, guint64 until, gint64 now_ms)
{
    from = MAX(from, until - MIN(until, PLAYER_MISSING_MAX / 2));
    for (guint64 number = from; number < until; number++) {
        if (t->count == PLAYER_MISSING_MAX)
            memmove(t->missing, t->missing + 1, --t->count * sizeof t->missing[0]);
        t->missing[t->count++] =
            (PlayerMissing){number, now_ms + p->patience_ms, now_ms + p->buffer_ms};
    }
}

static void found(PlayerTrack *t, guint64 number)
{
    for (guint i = 0; i < t->count; i++) {
        if (t->missing[i].number != number)
            continue;
        memmove(t->missing + i, t->missing + i + 1, (--t->count - i) * sizeof t->missing[0]);
        return;
    }
}

void player_take(Player *player, const NetPacket *packet, gint64 now_ms)
{
    PlayerTrack *t = &player->tracks[packet->track];
    if (!t->started) {
        if (packet->again)
            return;
        t->started = TRUE;
        t->ssrc = packet->ssrc;
        t->first = t->highest = 65536u + packet->sequence;
        t->received = 1;
        return;
    }
    guint64 number = tk_rtp_unwrap(t->highest, packet->sequence, 16);
    if (!packet->again)
        t->received++;
    if (number <= t->highest) {
        found(t, number);
        return;
    }
    look_for(player, t, t->highest + 1, number, now_ms);
    t->highest = number;
}

void player_take_report(Player *player, guint track, GBytes *rtcp, gint64 now_ms)
{
    gsize size, offset = 0;
    const guint8 *data = g_bytes_get_data(rtcp, &size);
    TkRtcp part;
    while (tk_rtcp_next(data, size, &offset, &part)) {
        if (part.type != TK_RTCP_SENDER_REPORT)
            continue;
        player->tracks[track].last_sr = (guint32)(part.ntp >> 16);
        player->tracks[track].last_sr_ms = now_ms;
    }
}

static TkRtcpReport report(PlayerTrack *t, gint64 now_ms)
{
    guint64 expected = t->highest - t->first + 1;
    gint64 lost =
        (gint64)(expected - t->reported_expected) - (gint64)(t->received - t->reported_received);
    guint64 since = expected - t->reported_expected;
    TkRtcpReport block = {.ssrc = t->ssrc,
                          .fraction_lost =
                              since && lost > 0 ? (guint8)((guint64)lost * 256 / (since + 1)) : 0,
                          .cumulative_lost = (gint32)(expected - t->received),
                          .highest_sequence = (guint32)(t->highest - 65536),
                          .last_sr = t->last_sr};
    if (t->last_sr)
        block.delay_since_sr = (guint32)((now_ms - t->last_sr_ms) * 65536 / 1000);
    t->reported_expected = expected;
    t->reported_received = t->received;
    return block;
}

// What is due, or would be before the next packet may go.
static guint due(Player *p, PlayerTrack *t, gint64 now_ms, guint16 *ret)
{
    guint kept = 0, count = 0;
    for (guint i = 0; i < t->count; i++) {
        PlayerMissing m = t->missing[i];
        if (m.until_ms <= now_ms)
            continue;
        if (m.ask_ms <= now_ms) {
            m.ask_ms = now_ms + p->ask_every_ms;
            ret[count++] = (guint16)m.number;
        }
        t->missing[kept++] = m;
    }
    t->count = kept;
    return count;
}

GBytes *player_rtcp(Player *player, guint track, gint64 now_ms)
{
    PlayerTrack *t = &player->tracks[track];
    guint16 sequences[PLAYER_MISSING_MAX];
    if (!t->started || now_ms - t->sent_ms < RTCP_INTERVAL_MS)
        return NULL;
    guint count = player->asks && t->count ? due(player, t, now_ms, sequences) : 0;
    if (count == 0 && now_ms - t->sent_ms < REPORT_EVERY_MS)
        return NULL;
    t->sent_ms = now_ms;
    TkRtcpReport block = report(t, now_ms);
    GByteArray *out = g_byte_array_new();
    tk_rtcp_put_receiver_report(out, ~t->ssrc, &block, 1);
    tk_rtcp_put_sdes(out, ~t->ssrc, "player");
    if (count)
        tk_rtcp_put_nack(out, ~t->ssrc, t->ssrc, sequences, count);
    return g_byte_array_free_to_bytes(out);
}
