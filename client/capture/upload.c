// SPDX-License-Identifier: MIT
#include "client/capture/upload.h"

#include <libsoup/soup.h>
#include <string.h>

#include "client/capture/copies.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define TIMEOUT_S 900 // healing reads and writes a whole recording
// A request must be there within 10 s: pieces grow and shrink with the line.
#define PIECE_BYTES_MIN (8u << 10)
#define PIECE_BYTES_FIRST (64u << 10)
#define PIECE_BYTES_MAX (256u << 10)
#define PIECE_QUICK_NS TK_NS_PER_S
#define TELL_NS (5 * TK_NS_PER_S)

struct _CapUploader {
    SoupSession *session;
    char *authorization;
    GCancellable *cancellable;
    guint piece_bytes;
};

CapUploader *cap_uploader_new(const char *token, GCancellable *cancellable)
{
    CapUploader *uploader = g_new0(CapUploader, 1);
    uploader->session =
        soup_session_new_with_options("timeout", TIMEOUT_S, "user-agent", "tongke-capture", NULL);
    uploader->authorization = token ? g_strconcat("Bearer ", token, NULL) : NULL;
    uploader->cancellable = g_object_ref(cancellable);
    uploader->piece_bytes = PIECE_BYTES_FIRST;
    return uploader;
}

void cap_uploader_free(CapUploader *uploader)
{
    g_object_unref(uploader->session);
    g_object_unref(uploader->cancellable);
    g_free(uploader->authorization);
    g_free(uploader);
}

static json_t *exchange(CapUploader *uploader, const char *method, const char *url,
                        const char *type, GBytes *body, guint *ret_status, GError **error)
{
    g_autoptr(SoupMessage) message = soup_message_new(method, url);

    *ret_status = 0;
    if (!message) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s is no URL", url);
        return NULL;
    }
    // A token is for the server that it was given for.
    soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT);
    if (uploader->authorization)
        soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                     uploader->authorization);
    if (body)
        soup_message_set_request_body_from_bytes(message, type, body);
    g_autoptr(GBytes) answer =
        soup_session_send_and_read(uploader->session, message, uploader->cancellable, error);
    if (!answer)
        return NULL;
    gsize size;
    const char *text = g_bytes_get_data(answer, &size);
    guint status = *ret_status = soup_message_get_status(message);
    json_t *json = tk_json_parse(text ? text : "", size, ANSWER_BYTES_MAX, NULL);
    if (status >= 200 && status < 300 && json)
        return json;
    gboolean unknown =
        strcmp(tk_json_string(json, "code", ""), tk_error_word(TK_ERROR_NOT_FOUND)) == 0;
    g_set_error(error, TK_ERROR, unknown ? TK_ERROR_NOT_FOUND : TK_ERROR_UNAVAILABLE, "%u: %s",
                status, tk_json_string(json, "detail", soup_message_get_reason_phrase(message)));
    json_decref(json);
    return NULL;
}

json_t *cap_upload_ask(CapUploader *uploader, const char *method, const char *url,
                       const json_t *body, guint *ret_status, GError **error)
{
    char *text = body ? tk_json_dump(body) : NULL;
    g_autoptr(GBytes) bytes = text ? g_bytes_new_take(text, strlen(text)) : NULL;
    return exchange(uploader, method, url, "application/json", bytes, ret_status, error);
}

guint64 cap_slices_bytes(const GArray *slices)
{
    guint64 bytes = 0;
    for (guint i = 0; i < slices->len; i++)
        bytes += g_array_index(slices, CapSlice, i).bytes;
    return bytes;
}

// Up to `max` bytes from `offset` of all slices. NULL: a file cannot be read.
static GBytes *slices_read(const GArray *slices, guint64 offset, gsize max)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    for (guint i = 0; i < slices->len && out->len < max; i++) {
        const CapSlice *slice = &g_array_index(slices, CapSlice, i);
        if (offset >= slice->bytes) {
            offset -= slice->bytes;
            continue;
        }
        g_autoptr(GMappedFile) file = g_mapped_file_new(slice->path, FALSE, NULL);
        if (!file || g_mapped_file_get_length(file) < slice->offset + slice->bytes)
            return NULL;
        guint64 size = MIN(slice->bytes - offset, max - out->len);
        g_byte_array_append(
            out, (const guint8 *)g_mapped_file_get_contents(file) + slice->offset + offset,
            (guint)size);
        offset = 0;
    }
    return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}

char *cap_slices_sha256(const GArray *slices)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    guint64 total = cap_slices_bytes(slices);
    for (guint64 at = 0; at < total;) {
        g_autoptr(GBytes) piece = slices_read(slices, at, 16 * PIECE_BYTES_MAX);
        gsize size = piece ? g_bytes_get_size(piece) : 0;
        if (size == 0)
            return NULL;
        g_checksum_update(sum, g_bytes_get_data(piece, NULL), (gssize)size);
        at += size;
    }
    return g_strdup(g_checksum_get_string(sum));
}

gboolean cap_upload_send(CapUploader *uploader, const char *url, const GArray *slices,
                         guint64 received, guint *ret_status, GError **error)
{
    guint64 total = cap_slices_bytes(slices);
    gint64 told_ns = tk_clock_monotonic_ns();

    *ret_status = 200;
    while (received < total) {
        g_autofree char *place = g_strdup_printf("%s?offset=%" G_GUINT64_FORMAT, url, received);
        g_autoptr(GBytes) piece = slices_read(slices, received, uploader->piece_bytes);
        gint64 began_ns = tk_clock_monotonic_ns();
        if (!piece || g_bytes_get_size(piece) == 0) {
            g_set_error(error, TK_ERROR, TK_ERROR_IO, "the local copy cannot be read any more");
            return FALSE;
        }
        g_autoptr(json_t) answer = exchange(uploader, "PATCH", place, "application/octet-stream",
                                            piece, ret_status, error);
        if (!answer) {
            if (*ret_status == 0)
                uploader->piece_bytes = MAX(uploader->piece_bytes / 2, PIECE_BYTES_MIN);
            return FALSE;
        }
        gint64 have = tk_json_int(answer, "received", -1);
        if (have < 0 || (guint64)have > total) {
            g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the library has other bytes");
            *ret_status = 409;
            return FALSE;
        }
        received = (guint64)have;
        gint64 now_ns = tk_clock_monotonic_ns();
        if (now_ns - began_ns < PIECE_QUICK_NS)
            uploader->piece_bytes = MIN(uploader->piece_bytes * 2, PIECE_BYTES_MAX);
        if (now_ns - told_ns >= TELL_NS) {
            told_ns = now_ns;
            tk_info("%.0f %% of %.1f MB delivered", (double)received * 100 / (double)total,
                    (double)total / 1e6);
        }
    }
    return TRUE;
}
