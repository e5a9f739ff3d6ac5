// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/h264.h"
#include "relay/core/hold.h"
#include "relay/core/input.h"
#include "relay/core/join.h"
#include "relay/core/packager.h"
#include "relay/core/receiver.h"
#include "relay/core/renumber.h"
#include "relay/core/reorder.h"
#include "relay/core/timeline.h"
#include "relay/core/wanted.h"

// What an input is made of, for the two files that it is written in: input.c is the way in,
// input_tell.c what others want to know of it.

// The newest sender report, in the sender's own numbers: it may come before the first packet.
typedef struct {
    gboolean known;
    guint32 ssrc, rtp_timestamp;
    guint64 ntp;
    gint64 arrived_ns, wall_ns;
} RelaySenderReport;

typedef struct {
    RelayInput *input;
    guint index;
    RelayTrackFormat format;
    RelayReceiver receiver;
    RelayRenumber renumber;
    RelayReorder reorder;
    RelayWanted wanted;
    TkH264Depay *h264; // one of the two while a sender is there
    TkAacDepay *aac;
    GBytes *config; // newest decoder configuration
    RelaySenderReport report;
    gboolean lost; // what comes next in order does not follow what came before
    gboolean has_key;
    guint32 key_timestamp; // of the newest frame that was given RELAY_UNIT_KEY
    guint32 report_ssrc;   // ours, as a receiver
    RelayInputStats stats;
    guint64 dropped_earlier; // frames, by depacketisers that are gone
} RelayInputTrack;

struct _RelayInput {
    RelayInputSink sink;
    void *user;
    guint count; // 0 until the first sender
    RelayInputTrack tracks[RELAY_INPUT_TRACKS_MAX];
    gboolean present; // a sender is there
    gboolean patient; // it may fall silent and go on where it broke off
    gboolean relayed; // what it sends may have come by another way before
    RelayJoin join;   // of pictures that did
    gint64 ahead_ns;  // relayed: what went on last, in media time over its capture's time
    gint64 epoch_wall_ns;
    gboolean has_wall;
    gint64 wall_offset_ns; // wall clock - monotonic clock, at the first call
    RelayTimeline timeline;
    RelayHold hold;
    gboolean holding, has_packet;
    gint64 first_packet_ns;
    RelayPackager *packager;
    RelayPackager *sound; // the same sound once more, alone; NULL: there is nothing beside it
    GRand *random;
    gint64 now_ns, wall_ns; // of the call that is being served
};
