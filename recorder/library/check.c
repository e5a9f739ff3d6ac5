// SPDX-License-Identifier: MIT
#include "recorder/library/check.h"

#include "common/base/error.h"
#include "common/media/box.h"
#include "common/media/cmaf_read.h"

#include <string.h>

typedef struct {
    guint64 at; // from the head's first byte
    guint64 bytes;
} Sample;

// The body of the box that `path` (four-letter types, one after the other) leads to.
static gboolean box_at(TkReader from, const char *path, TkReader *ret)
{
    for (; *path; path += 4) {
        guint32 type,
            wanted = TK_FOURCC((guint8)path[0], (guint8)path[1], (guint8)path[2], (guint8)path[3]);
        TkReader body;
        do {
            if (tk_reader_left(&from) == 0 || !tk_box_next(&from, &type, &body))
                return FALSE;
        } while (type != wanted);
        from = body;
    }
    *ret = from;
    return TRUE;
}

// The samples as the tables of a trak tell of them.
static gboolean tables_read(TkReader trak, guint32 *ret_track, GArray *samples)
{
    TkReader tkhd, stsz, stsc, co64;
    if (!box_at(trak, "tkhd", &tkhd) || !box_at(trak, "mdiaminfstblstsz", &stsz) ||
        !box_at(trak, "mdiaminfstblstsc", &stsc) || !box_at(trak, "mdiaminfstblco64", &co64))
        return FALSE;
    tk_reader_take(&tkhd, 4 + 16);
    *ret_track = tk_reader_u32(&tkhd);
    tk_reader_take(&stsz, 8); // sizes are told one by one
    guint32 left = tk_reader_u32(&stsz);
    tk_reader_take(&stsc, 4);
    guint32 rules = tk_reader_u32(&stsc), next = rules ? tk_reader_u32(&stsc) : 0, per_chunk = 0;
    tk_reader_take(&co64, 4);
    guint32 chunks = tk_reader_u32(&co64);
    for (guint32 chunk = 1; chunk <= chunks; chunk++) {
        if (rules && chunk == next) {
            per_chunk = tk_reader_u32(&stsc);
            tk_reader_u32(&stsc);
            next = --rules ? tk_reader_u32(&stsc) : 0;
        }
        guint64 at = tk_reader_u64(&co64);
        for (guint32 i = 0; i < per_chunk && left > 0; i++, left--) {
            Sample sample = {at, tk_reader_u32(&stsz)};
            at += sample.bytes;
            g_array_append_val(samples, sample);
        }
        if (co64.failed || stsc.failed || stsz.failed)
            return FALSE;
    }
    return left == 0;
}

static void run_add(GArray *samples, const TkCmafRunInfo *run, guint64 base)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        Sample sample = {base + at.offset, at.sample.size};
        g_array_append_val(samples, sample);
    }
}

// The same as the media itself has them.
static void media_read(const RecEntry *entries, guint count, const guint8 *media,
                       guint64 media_bytes, guint64 base, guint32 track, GArray *samples)
{
    for (guint i = 0; i < count; i++) {
        const RecEntry *entry = &entries[i];
        TkCmafChunk chunk;
        gsize bytes;
        if (entry->offset > media_bytes || entry->bytes > media_bytes - entry->offset)
            break;
        if (entry->flags & REC_ENTRY_INIT ||
            tk_cmaf_piece(media + entry->offset, entry->bytes, &chunk, &bytes) != TK_CMAF_CHUNK)
            continue;
        for (guint r = 0; r < chunk.runs_count; r++)
            if (chunk.runs[r].track_id == track)
                run_add(samples, &chunk.runs[r], base + entry->offset);
    }
}

gboolean shelf_head_check(GBytes *head, const RecEntry *entries, guint count, const guint8 *media,
                          guint64 media_bytes, GError **error)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(head, &size);
    TkReader moov, body;
    guint32 type, track;
    guint good = 0;

    if (box_at(tk_reader(data, size), "moov", &moov)) {
        while (tk_reader_left(&moov) > 0 && tk_box_next(&moov, &type, &body)) {
            g_autoptr(GArray) told = g_array_new(FALSE, FALSE, sizeof(Sample));
            g_autoptr(GArray) there = g_array_new(FALSE, FALSE, sizeof(Sample));
            if (type != TK_FOURCC('t', 'r', 'a', 'k'))
                continue;
            if (!tables_read(body, &track, told))
                break;
            media_read(entries, count, media, media_bytes, size, track, there);
            if (told->len != there->len ||
                memcmp(told->data, there->data, told->len * sizeof(Sample)) != 0) {
                g_set_error(error, TK_ERROR, TK_ERROR_INTERNAL,
                            "its tables tell of %u samples of track %u, the media has %u, or not "
                            "there",
                            told->len, track, there->len);
                return FALSE;
            }
            good++;
        }
        if (good > 0 && tk_reader_left(&moov) == 0)
            return TRUE;
    }
    g_set_error(error, TK_ERROR, TK_ERROR_INTERNAL, "it cannot be read back");
    return FALSE;
}
