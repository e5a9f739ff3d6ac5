// SPDX-License-Identifier: MIT
#include "relay/net/rtsp_pass.h"

#include "common/base/clock.h"
#include "common/base/error.h"

void relay_rtsp_pass_clear(RelayRtspPass *pass)
{
    g_clear_pointer(&pass->lesson, g_free);
    g_clear_pointer(&pass->stream, g_free);
    g_clear_pointer(&pass->claims, tk_claims_free);
}

gboolean relay_rtsp_pass_is_over(const RelayRtspPass *pass, gint64 now_ns)
{
    return pass->claims && now_ns > pass->expires_ns;
}

gboolean relay_rtsp_pass_holds(const RelayRtspPass *pass, const RelayLesson *lesson, gint64 now_ns,
                               GError **error)
{
    if (!pass->claims)
        return TRUE;
    if (relay_rtsp_pass_is_over(pass, now_ns)) {
        g_set_error(error, TK_ERROR, TK_ERROR_UNAUTHORIZED,
                    "the token has expired; ask for a new one");
        return FALSE;
    }
    if (!tk_claims_allow(pass->claims, pass->role, lesson ? lesson->name : pass->lesson,
                         lesson ? lesson->id : NULL)) {
        g_set_error(error, TK_ERROR, TK_ERROR_FORBIDDEN,
                    "this token was for the lesson that ran here before");
        return FALSE;
    }
    return TRUE;
}

gboolean relay_rtsp_pass_admit(RelayRtspPass *pass, const RelayDoor *door,
                               const RelayLesson *lesson, const RelayRtspUrl *url, TkRole role,
                               const char *authorization, GError **error)
{
    gint64 now_ns = tk_clock_monotonic_ns();
    if (pass->lesson && pass->role == role && g_str_equal(pass->lesson, url->lesson) &&
        g_str_equal(pass->stream, url->stream))
        return relay_rtsp_pass_holds(pass, lesson, now_ns, error);
    if (pass->lesson) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "one connection serves one stream");
        return FALSE;
    }
    g_autofree char *token = relay_door_token(authorization, url->query);
    if (!relay_door_admit(door, token, role, lesson ? lesson->name : url->lesson,
                          lesson ? lesson->id : NULL, &pass->claims, error))
        return FALSE;
    if (pass->claims)
        pass->expires_ns = now_ns + tk_claims_left_ns(pass->claims, tk_clock_wall_ns());
    pass->lesson = g_strdup(url->lesson);
    pass->stream = g_strdup(url->stream);
    pass->role = role;
    return TRUE;
}
