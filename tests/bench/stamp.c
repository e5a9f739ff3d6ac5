// SPDX-License-Identifier: MIT
#include "tests/bench/stamp.h"

#include <string.h>

static const char mark[] = "TkStamp";
static const char kinds[LOAD_STAMP_KINDS] = {'F', 'P', 'A'};

#define MARK_BYTES (sizeof mark - 1)

void load_stamp_write(guint8 *at, LoadStampKind kind, gint64 ns)
{
    memcpy(at, mark, MARK_BYTES);
    at[MARK_BYTES] = (guint8)kinds[kind];
    for (guint i = 0; i < 16; i++)
        at[MARK_BYTES + 1 + i] = (guint8)('a' + ((guint64)ns >> (60 - 4 * i) & 15));
}

static gint64 read_ns(const guint8 *at)
{
    guint64 ns = 0;
    for (guint i = 0; i < 16; i++)
        ns = ns << 4 | ((guint)(at[i] - 'a') & 15);
    return (gint64)ns;
}

gboolean load_stamp_read(const guint8 *data, gsize size, LoadStampKind *ret_kind, gint64 *ret_ns)
{
    if (size < LOAD_STAMP_BYTES || memcmp(data, mark, MARK_BYTES) != 0)
        return FALSE;
    const char *kind = memchr(kinds, data[MARK_BYTES], sizeof kinds);
    if (!kind)
        return FALSE;
    *ret_kind = (LoadStampKind)(kind - kinds);
    *ret_ns = read_ns(data + MARK_BYTES + 1);
    return TRUE;
}

gboolean load_stamp_find(const guint8 *data, gsize size, gsize *offset, gint64 *ret_ns)
{
    LoadStampKind kind;
    while (*offset < size) {
        const guint8 *at = memmem(data + *offset, size - *offset, mark, MARK_BYTES);
        if (!at)
            return FALSE;
        gsize left = size - (gsize)(at - data);
        *offset = (gsize)(at - data) + MARK_BYTES;
        if (load_stamp_read(at, left, &kind, ret_ns) && kind == LOAD_STAMP_FRAME)
            return TRUE;
    }
    return FALSE;
}
