// SPDX-License-Identifier: MIT
#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/error.h"

static char *refuse_errno(GError **error, const char *path)
{
    int code = errno;

    g_set_error(error, TK_ERROR, code == ENOENT ? TK_ERROR_NOT_FOUND : TK_ERROR_IO, "%s: %s", path,
                g_strerror(code));
    return NULL;
}

static char *read_open(int fd, const char *path, gsize max_bytes, gsize *ret_length,
                       struct stat *ret_stat, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return refuse_errno(error, path);
    if (!S_ISREG(st.st_mode)) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "%s: not a regular file", path);
        return NULL;
    }

    // It may grow while it is read: one byte more than allowed is enough to know.
    g_autofree char *data = g_malloc(max_bytes + 1);
    gsize length = 0;
    while (length <= max_bytes) {
        ssize_t got = read(fd, data + length, max_bytes + 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return refuse_errno(error, path);
        if (got == 0)
            break;
        length += (gsize)got;
    }
    if (length > max_bytes) {
        g_set_error(error, TK_ERROR, TK_ERROR_TOO_LARGE,
                    "%s: longer than %" G_GSIZE_FORMAT " bytes", path, max_bytes);
        return NULL;
    }
    data[length] = '\0';
    if (ret_length)
        *ret_length = length;
    *ret_stat = st;
    return g_steal_pointer(&data);
}

char *tk_file_read_stat(const char *path, gsize max_bytes, gsize *ret_length, struct stat *ret_stat,
                        GError **error)
{
    // O_NONBLOCK: opening a pipe without a writer would wait for ever.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return refuse_errno(error, path);
    char *data = read_open(fd, path, max_bytes, ret_length, ret_stat, error);
    close(fd);
    return data;
}

char *tk_file_read(const char *path, gsize max_bytes, gsize *ret_length, GError **error)
{
    struct stat ignored;

    return tk_file_read_stat(path, max_bytes, ret_length, &ignored, error);
}
