// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtcp.h"
#include "relay/core/input.h"
#include "tests/sim/net.h"

// A model of rtpbin as tongke-player sets it up: what it asks for and when, and what it reports.
// It sees only what arrives.

#define PLAYER_MISSING_MAX 256 // packets it looks for at once, per track

typedef struct {
    guint64 number; // in its own counting
    gint64 ask_ms, until_ms;
} PlayerMissing;

typedef struct {
    gboolean started;
    guint32 ssrc;
    guint64 first, highest, received; // of its own counting
    guint64 reported_expected, reported_received;
    guint32 last_sr; // middle 32 bits of the newest sender report's NTP time
    gint64 last_sr_ms, sent_ms;
    guint count;
    PlayerMissing missing[PLAYER_MISSING_MAX]; // ascending
} PlayerTrack;

typedef struct {
    guint buffer_ms, patience_ms, ask_every_ms;
    gboolean asks; // for retransmissions
    PlayerTrack tracks[RELAY_INPUT_TRACKS_MAX];
} Player;

void player_take(Player *player, const NetPacket *packet, gint64 now_ms);
void player_take_report(Player *player, guint track, GBytes *rtcp, gint64 now_ms);
// The RTCP that it sends for a track now, or NULL.
GBytes *player_rtcp(Player *player, guint track, gint64 now_ms);
