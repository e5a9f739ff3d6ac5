// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// "rtsp://host:port/lesson[/stream][?query][/track=n]", as clients put it together.
typedef struct {
    char *host;            // without port and brackets
    char *base;            // everything before query and track, without a slash at the end
    char *lesson, *stream; // stream: "main" when the URL names none
    gboolean whole;        // it names none: the lesson, as good as it can be had
    char *query;           // or NULL
    gint track;            // -1: none named
} RelayRtspUrl;

gboolean relay_rtsp_url_parse(const char *uri, RelayRtspUrl *ret,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void relay_rtsp_url_clear(RelayRtspUrl *url);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RelayRtspUrl, relay_rtsp_url_clear)

// Whether `uri` is that of the track with this a=control value, absolute or relative.
gboolean relay_rtsp_url_has_control(const char *uri, const char *control);
