// SPDX-License-Identifier: MIT
#include "recorder/library/reply.h"

#include "common/base/error.h"
#include "common/base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ShelfReply *shelf_reply_new(guint status, const char *content_type, GBytes *head)
{
    ShelfReply *reply = g_new0(ShelfReply, 1);
    reply->status = status;
    reply->content_type = content_type;
    reply->head = head;
    reply->fd = -1;
    return reply;
}

ShelfReply *shelf_reply_text(guint status, const char *content_type, char *text)
{
    return shelf_reply_new(status, content_type, g_bytes_new_take(text, strlen(text)));
}

static void file_clear(ShelfReply *reply)
{
    g_clear_pointer(&reply->head, g_bytes_unref);
    if (reply->fd >= 0)
        close(reply->fd);
    reply->fd = -1;
    reply->file_bytes = 0;
}

gboolean shelf_reply_open(ShelfReply *reply, const char *path, guint64 offset, guint64 bytes,
                          GError **error)
{
    struct stat info;
    reply->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (reply->fd < 0 || fstat(reply->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        g_set_error(error, TK_ERROR, errno == ENOENT ? TK_ERROR_NOT_FOUND : TK_ERROR_IO,
                    "cannot read the recording: %s", g_strerror(errno));
        return FALSE;
    }
    reply->file_offset = MIN(offset, (guint64)info.st_size);
    reply->file_bytes = MIN(bytes, (guint64)info.st_size - reply->file_offset);
    return TRUE;
}

void shelf_reply_fail(ShelfReply *reply, const GError *error)
{
    g_autoptr(json_t) problem = tk_json_problem(error);
    char *text = tk_json_dump(problem);

    file_clear(reply);
    reply->status = tk_error_http_status(error);
    reply->content_type = "application/problem+json";
    reply->head = g_bytes_new_take(text, strlen(text));
    reply->ranges = reply->immutable = FALSE;
    reply->max_age_s = 0;
    g_clear_pointer(&reply->etag, g_free);
    g_clear_pointer(&reply->filename, g_free);
}

ShelfReply *shelf_reply_error(const GError *error)
{
    ShelfReply *reply = shelf_reply_new(0, NULL, NULL);
    shelf_reply_fail(reply, error);
    return reply;
}

void shelf_reply_free(ShelfReply *reply)
{
    if (!reply)
        return;
    file_clear(reply);
    if (reply->work_free)
        reply->work_free(reply->work_data);
    g_free(reply->etag);
    g_free(reply->filename);
    g_free(reply->location);
    g_free(reply);
}

guint64 shelf_reply_bytes(const ShelfReply *reply)
{
    return (reply->head ? g_bytes_get_size(reply->head) : 0) + reply->file_bytes;
}

static gboolean digits_read(const char **at, guint64 *ret)
{
    char *end;
    if (!g_ascii_isdigit(**at))
        return FALSE;
    errno = 0;
    *ret = g_ascii_strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

ShelfRange shelf_range_parse(const char *header, guint64 total, guint64 *ret_from,
                             guint64 *ret_bytes)
{
    guint64 first = 0, last = G_MAXUINT64;

    if (!header || g_ascii_strncasecmp(header, "bytes=", 6) != 0)
        return SHELF_RANGE_NONE;
    const char *at = header + 6;
    if (*at == '-') {
        guint64 suffix;
        at++;
        if (!digits_read(&at, &suffix) || *at)
            return SHELF_RANGE_NONE;
        if (suffix == 0 || total == 0)
            return SHELF_RANGE_UNSATISFIABLE;
        *ret_bytes = MIN(suffix, total);
        *ret_from = total - *ret_bytes;
        return SHELF_RANGE_PART;
    }
    if (!digits_read(&at, &first) || *at++ != '-')
        return SHELF_RANGE_NONE;
    if (*at && (!digits_read(&at, &last) || *at || last < first))
        return SHELF_RANGE_NONE;
    if (first >= total)
        return SHELF_RANGE_UNSATISFIABLE;
    *ret_from = first;
    *ret_bytes = MIN(last, total - 1) - first + 1;
    return SHELF_RANGE_PART;
}

GBytes *shelf_reply_read(const ShelfReply *reply, guint64 at, gsize max)
{
    gsize head = reply->head ? g_bytes_get_size(reply->head) : 0;
    guint64 total = head + reply->file_bytes;

    if (at < head)
        return g_bytes_new_from_bytes(reply->head, (gsize)at, MIN(max, head - (gsize)at));
    gsize bytes = (gsize)MIN((guint64)max, total - MIN(at, total));
    g_autofree guint8 *buffer = g_malloc(MAX(bytes, 1));
    gsize got = 0;
    while (got < bytes) {
        gssize n = pread(reply->fd, buffer + got, bytes - got,
                         (off_t)(reply->file_offset + (at - head) + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return NULL;
        got += (gsize)n;
    }
    return g_bytes_new_take(g_steal_pointer(&buffer), bytes);
}
