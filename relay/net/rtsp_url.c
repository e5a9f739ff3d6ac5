// SPDX-License-Identifier: MIT
#include "relay/net/rtsp_url.h"

#include <string.h>

#include "common/base/error.h"
#include "common/base/name.h"

void relay_rtsp_url_clear(RelayRtspUrl *url)
{
    g_clear_pointer(&url->host, g_free);
    g_clear_pointer(&url->base, g_free);
    g_clear_pointer(&url->lesson, g_free);
    g_clear_pointer(&url->stream, g_free);
    g_clear_pointer(&url->query, g_free);
}

// Cuts "/track=n" off the end of `text`; the number or -1.
static gint cut_track(char *text)
{
    char *slash = strrchr(text, '/');
    guint64 track;
    if (!slash || !g_str_has_prefix(slash, "/track=") ||
        !g_ascii_string_to_unsigned(slash + strlen("/track="), 10, 0, 255, &track, NULL))
        return -1;
    *slash = '\0';
    return (gint)track;
}

static char *host_of(const char *authority)
{
    const char *at = strrchr(authority, '@');
    const char *host = at ? at + 1 : authority;
    if (*host == '[') {
        const char *end = strchr(host, ']');
        return end ? g_strndup(host + 1, (gsize)(end - host - 1)) : g_strdup("");
    }
    return g_strndup(host, strcspn(host, ":"));
}

gboolean relay_rtsp_url_parse(const char *uri, RelayRtspUrl *ret, GError **error)
{
    if (g_ascii_strncasecmp(uri, "rtsp://", 7) != 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "not an rtsp:// URL");
        return FALSE;
    }
    g_autofree char *text = g_strdup(uri);
    g_auto(RelayRtspUrl) url = {.track = cut_track(text)};
    // The query may stand before the track, where players append to the whole URL.
    char *question = strchr(text, '?');
    if (question) {
        url.query = g_strdup(question + 1);
        *question = '\0';
    }
    gsize length = strlen(text);
    while (length > 7 && text[length - 1] == '/')
        text[--length] = '\0';
    if (url.track < 0)
        url.track = cut_track(text);
    char *path = strchr(text + 7, '/');
    g_autofree char *authority = path ? g_strndup(text + 7, (gsize)(path - text - 7)) : NULL;
    if (!path || !tk_name_split_path(path, &url.lesson, &url.stream, NULL)) {
        g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND,
                    "the URL names no lesson: rtsp://HOST:PORT/LESSON[/STREAM]");
        return FALSE;
    }
    url.whole = strchr(path + 1, '/') == NULL;
    url.host = host_of(authority);
    url.base = g_steal_pointer(&text);
    *ret = url;
    url = (RelayRtspUrl){0};
    return TRUE;
}

gboolean relay_rtsp_url_has_control(const char *uri, const char *control)
{
    if (g_str_equal(uri, control))
        return TRUE;
    gsize uri_length = strlen(uri), length = strlen(control);
    return length > 0 && uri_length > length && uri[uri_length - length - 1] == '/' &&
           g_str_has_suffix(uri, control);
}
