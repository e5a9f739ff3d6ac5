// SPDX-License-Identifier: MIT
#include "relay/net/rtsp_player.h"

#include <string.h>

guint relay_rtsp_objection(const TkRtspMessage *request, const char *id)
{
    const char *session = tk_rtsp_header(request, "Session");
    if (!tk_rtsp_header(request, "CSeq"))
        return 400;
    if (session && !g_str_has_prefix(session, id))
        return 454;
    return tk_rtsp_header(request, "Require") ? 551 : 0; // RFC 2326 section 12.32: we have none
}

// SDP has no way to ask whether a viewer takes RTP/AVPF, and many (live555, and so VLC) pass over
// an m= line that says so: it is for those that are known to take it.
gboolean relay_rtsp_takes_feedback(const TkRtspMessage *request)
{
    static const char *const agents[] = {"GStreamer/", "tongke-", "Lavf"};
    const char *agent = tk_rtsp_header(request, "User-Agent");
    for (guint i = 0; agent && i < G_N_ELEMENTS(agents); i++)
        if (g_str_has_prefix(agent, agents[i]))
            return TRUE;
    return FALSE;
}

void relay_rtsp_read_resume(const TkRtspMessage *request, RelayViewerSpec *spec)
{
    const char *header = tk_rtsp_header(request, "X-Tongke-Resume");
    g_auto(GStrv) parts = g_strsplit(header ? header : "", ";", RELAY_INPUT_TRACKS_MAX + 1);
    for (guint i = 0; parts[i] && i < RELAY_INPUT_TRACKS_MAX; i++) {
        guint64 sequence;
        g_autofree char *name = g_strdup_printf("%u=", i);
        if (!g_str_has_prefix(g_strstrip(parts[i]), name) ||
            !g_ascii_string_to_unsigned(parts[i] + strlen(name), 10, 0, 65535, &sequence, NULL))
            return;
        spec->resume[i] = (guint16)sequence;
        spec->resumes = TRUE;
    }
}

gboolean relay_rtsp_is_relay(const TkRtspMessage *request)
{
    const char *agent = tk_rtsp_header(request, "User-Agent");
    return agent && g_str_has_prefix(agent, "tongke-relay");
}

gboolean relay_rtsp_is_exempt(const TkRtspMessage *request, const TkClaims *claims,
                              const RelayViewerSpec *spec)
{
    if (relay_rtsp_is_relay(request) && spec->moves)
        return FALSE;
    return claims ? claims->role == TK_ROLE_RECORDER
                  : spec->resumes || relay_rtsp_is_relay(request);
}
