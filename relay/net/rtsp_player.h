// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"
#include "common/media/rtsp.h"
#include "relay/net/fanout.h"

// What a peer's requests, hostile, say of it.

// What is wrong with any request of the session `id`: a status, or 0.
guint relay_rtsp_objection(const TkRtspMessage *request, const char *id);

// Whether it takes RTP/AVPF in an SDP.
gboolean relay_rtsp_takes_feedback(const TkRtspMessage *request);
// It passes on what it gets, and has renditions of its own to give.
gboolean relay_rtsp_is_relay(const TkRtspMessage *request);
// "X-Tongke-Resume: 0=SEQUENCE;1=SEQUENCE", by track: with which packets it goes on.
void relay_rtsp_read_resume(const TkRtspMessage *request, RelayViewerSpec *spec);
// Recordings are not cut for a limit, nor what goes on to others as it is. `claims`: of its token,
// or NULL.
gboolean relay_rtsp_is_exempt(const TkRtspMessage *request, const TkClaims *claims,
                              const RelayViewerSpec *spec);
