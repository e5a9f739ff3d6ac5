// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/lesson.h"
#include "relay/net/door.h"
#include "relay/net/rtsp_url.h"

// What an RTSP connection has been let in to: one stream, by the token that it brought first. A
// room has lesson after lesson, and tokens end: what was allowed once is asked again.
typedef struct {
    char *lesson, *stream; // by the words in the URL; NULL: not let in yet
    TkRole role;
    TkClaims *claims;  // of its token; NULL when the door is open
    gint64 expires_ns; // when they are good no longer; monotonic
} RelayRtspPass;

void relay_rtsp_pass_clear(RelayRtspPass *pass);

// Lets it in to the stream of `url`; who is in stays in while the pass holds. `lesson`: that runs
// or has run there, or NULL. `authorization`: the header, or NULL.
gboolean relay_rtsp_pass_admit(RelayRtspPass *pass, const RelayDoor *door,
                               const RelayLesson *lesson, const RelayRtspUrl *url, TkRole role,
                               const char *authorization, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Whether a pass still lets in, to what is `lesson` there by now.
gboolean relay_rtsp_pass_holds(const RelayRtspPass *pass, const RelayLesson *lesson, gint64 now_ns,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean relay_rtsp_pass_is_over(const RelayRtspPass *pass, gint64 now_ns);
