// SPDX-License-Identifier: MIT
#include "client/peer/peer.h"

#include <gst/gst.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/name.h"

#define BACKOFF_MAX_S 15
#define TOKEN_BYTES_MAX 4096

guint client_backoff_s(guint n, guint max_s)
{
    return MIN(n >= 4 ? BACKOFF_MAX_S : 1u << n, max_s);
}

char *client_token_read(const char *path, GError **error)
{
    const char *variable = g_getenv("TONGKE_TOKEN");
    g_autofree char *text = NULL;
    gsize length;

    if (!path)
        return variable && *variable ? g_strdup(variable) : NULL;
    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    g_strstrip(text);
    if (!*text || length > TOKEN_BYTES_MAX || strpbrk(text, " \t\r\n")) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s does not hold one token", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}

gboolean client_url_check(const char *url, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, error);
    g_autofree char *lesson = NULL, *stream = NULL;

    if (!uri)
        return FALSE;
    if (!g_str_equal(g_uri_get_scheme(uri), "rtsp") || !g_uri_get_host(uri) ||
        !*g_uri_get_host(uri)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "\"%s\" must be rtsp://HOST:8554/LESSON",
                    url);
        return FALSE;
    }
    // GUri takes dot segments away, the element that gets the address does not.
    if (strstr(url, "..")) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "\"%s\" must not contain \"..\"", url);
        return FALSE;
    }
    if (g_uri_get_userinfo(uri)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "tokens do not go into the address; use --token-file or $TONGKE_TOKEN");
        return FALSE;
    }
    return tk_name_split_path(g_uri_get_path(uri), &lesson, &stream, error);
}

gboolean client_choose(const char *option, const char *text, const char *const *words, guint *ret,
                       GError **error)
{
    if (!text)
        return TRUE;
    for (guint i = 0; words[i]; i++) {
        if (g_str_equal(text, words[i])) {
            *ret = i;
            return TRUE;
        }
    }
    g_autofree char *all = g_strjoinv(", ", (char **)words);
    g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "--%s %s: use one of %s", option, text, all);
    return FALSE;
}

const char *client_error_sentence(const GError *error)
{
    if (error->domain != GST_RESOURCE_ERROR)
        return error->message;
    switch (error->code) {
    case GST_RESOURCE_ERROR_OPEN_READ:
    case GST_RESOURCE_ERROR_OPEN_WRITE:
    case GST_RESOURCE_ERROR_OPEN_READ_WRITE:
        return "无法连接 · it cannot be reached";
    case GST_RESOURCE_ERROR_READ:
    case GST_RESOURCE_ERROR_WRITE:
    case GST_RESOURCE_ERROR_CLOSE:
        return "连接中断 · the connection was lost";
    }
    return error->message;
}
