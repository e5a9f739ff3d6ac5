// SPDX-License-Identifier: MIT
#include "recorder/library/grant.h"

#include "common/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define KEY_BYTES 32
#define MAC_CHARS 32 // 128 bits

struct _ShelfGrants {
    guint8 key[KEY_BYTES];
};

static gboolean fail(const char *what, const char *path, GError **error)
{
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot %s %s: %s", what, path, g_strerror(errno));
    return FALSE;
}

static gboolean key_read(guint8 *key, const char *path, int fd, GError **error)
{
    gssize got = read(fd, key, KEY_BYTES);
    if (got == KEY_BYTES)
        return TRUE;
    if (got >= 0)
        errno = EINVAL;
    return fail("read", path, error);
}

// Another name first: a key that was cut off would be taken for a whole one.
static gboolean key_make(guint8 *key, const char *path, GError **error)
{
    g_autofree char *fresh = g_strconcat(path, ".new", NULL);
    if (getrandom(key, KEY_BYTES, 0) != KEY_BYTES)
        return fail("make", path, error);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail("write", fresh, error);
    gboolean ok = write(fd, key, KEY_BYTES) == KEY_BYTES && fsync(fd) == 0;
    close(fd);
    return (ok && g_rename(fresh, path) == 0) || fail("write", fresh, error);
}

ShelfGrants *shelf_grants_open(const char *data, GError **error)
{
    g_autofree char *path = g_build_filename(data, "hls.key", NULL);
    g_autoptr(ShelfGrants) grants = g_new0(ShelfGrants, 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    gboolean ok;

    if (fd >= 0) {
        ok = key_read(grants->key, path, fd, error);
        close(fd);
    } else {
        ok = errno == ENOENT ? key_make(grants->key, path, error) : fail("open", path, error);
    }
    return ok ? g_steal_pointer(&grants) : NULL;
}

void shelf_grants_free(ShelfGrants *grants)
{
    g_free(grants);
}

static char *grant_text(const ShelfGrants *grants, const char *lesson, gint64 window)
{
    g_autofree char *said = g_strdup_printf("%s %" G_GINT64_FORMAT, lesson, window);
    g_autofree char *mac =
        g_compute_hmac_for_string(G_CHECKSUM_SHA256, grants->key, KEY_BYTES, said, -1);
    return g_strdup_printf("%" G_GINT64_FORMAT "-%.*s", window, MAC_CHARS, mac);
}

char *shelf_grant_make(const ShelfGrants *grants, const char *lesson, gint64 now_s)
{
    return grant_text(grants, lesson, now_s / SHELF_GRANT_WINDOW_S + 2);
}

gint64 shelf_grant_left(const ShelfGrants *grants, const char *text, const char *lesson,
                        gint64 now_s)
{
    gint64 window = g_ascii_strtoll(text, NULL, 10);
    gint64 now = now_s / SHELF_GRANT_WINDOW_S;
    guint8 differs = 0;

    if (window <= now || window > now + 2)
        return 0;
    g_autofree char *good = grant_text(grants, lesson, window);
    gsize length = strlen(good);
    if (strlen(text) != length)
        return 0;
    for (gsize i = 0; i < length; i++)
        differs |= (guint8)(good[i] ^ text[i]);
    return differs ? 0 : window * SHELF_GRANT_WINDOW_S - now_s;
}
