// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/lesson_info.h"
#include "relay/core/input.h"

// Session descriptions (RFC 4566; H.264: RFC 6184 section 8.2, AAC: RFC 3640 section 4.1).

// What a sender announces.
typedef struct {
    guint tracks_count;
    RelayTrackFormat formats[RELAY_INPUT_TRACKS_MAX];
    char *controls[RELAY_INPUT_TRACKS_MAX]; // a=control of each, as sent
    char *id;                               // lesson id, or NULL
    TkLessonInfo *info;
    guint64 session; // 0: the sender does not tell it
} RelayOffer;

void relay_offer_clear(RelayOffer *offer);

// The track that a SETUP means: by its control URL, else the next in order that is not `set_up`;
// -1: none.
gint relay_offer_track(const RelayOffer *offer, const char *uri,
                       const gboolean set_up[RELAY_INPUT_TRACKS_MAX]);

// At most one H.264 and one AAC track, video first in `ret`; anything else is refused with
// TK_ERROR_UNSUPPORTED and a word on what would do. `text` ends in NUL.
gboolean relay_sdp_parse(const char *text, gsize size, RelayOffer *ret,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

// What a viewer is told. `configs[track]`: avcC record or AudioSpecificConfig; NULL: no such track.
typedef struct {
    const char *title; // as TkLessonInfo has it: no control characters; may be NULL
    const char *host;  // of the relay, as the viewer sees it
    gboolean ipv6;
    guint64 session;   // SSRCs and sequence numbers are the same as long as this is
    gboolean feedback; // the viewer takes RTP/AVPF, and so may ask for what it misses
    const RelayStreamFormat *format;
    GBytes *configs[RELAY_INPUT_TRACKS_MAX];
} RelayDescription;

// Newly allocated. Track n has the control URL "track=n".
char *relay_sdp_write(const RelayDescription *description);
