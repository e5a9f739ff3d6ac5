// SPDX-License-Identifier: MIT
#include "recorder/library/download.h"

#include "common/base/error.h"
#include "common/media/bytes.h"
#include "recorder/library/moov.h"

#include <string.h>

#define MDAT_HEADER_BYTES 16

// Takes over the tracks of an initialisation segment: a decoder configuration that is new to a
// track becomes its next sample description.
static gboolean init_take(ShelfMoov *moov, const guint8 *data, gsize size, TkCmafInit *init)
{
    TkCmafInit fresh = {0};
    if (!tk_cmaf_init_parse(data, size, &fresh))
        return FALSE;
    tk_cmaf_init_clear(init);
    *init = fresh;
    for (guint i = 0; i < init->tracks_count; i++)
        if (!shelf_moov_describe(moov, &init->tracks[i], data, size))
            return FALSE;
    return TRUE;
}

static void chunk_take(ShelfMoov *moov, const TkCmafChunk *chunk, const TkCmafInit *init,
                       guint64 offset, gint64 shift_ns)
{
    for (guint r = 0; r < chunk->runs_count; r++) {
        const TkCmafRunInfo *run = &chunk->runs[r];
        for (guint i = 0; i < init->tracks_count; i++)
            if (init->tracks[i].track_id == run->track_id)
                shelf_moov_add_run(moov, &init->tracks[i], run, offset, shift_ns);
    }
}

static GBytes *head_write(const ShelfMoov *moov, guint64 media_bytes)
{
    static const guint8 ftyp[] = {0, 0, 0, 24, 'f', 't', 'y', 'p', 'i', 's', 'o', 'm',
                                  0, 0, 2, 0,  'i', 's', 'o', 'm', 'a', 'v', 'c', '1'};
    GByteArray *out = g_byte_array_new();
    g_byte_array_append(out, ftyp, sizeof ftyp);
    // Offsets are of a fixed width, so a first writing tells how long the head will be.
    shelf_moov_write(moov, 0, out);
    guint64 base = out->len + MDAT_HEADER_BYTES;
    g_byte_array_set_size(out, sizeof ftyp);
    shelf_moov_write(moov, base, out);
    tk_put(out, 1, 4);
    g_byte_array_append(out, (const guint8 *)"mdat", 4);
    tk_put(out, MDAT_HEADER_BYTES + media_bytes, 8);
    return g_byte_array_free_to_bytes(out);
}

GBytes *shelf_download_head(const RecEntry *entries, guint count, const guint8 *media,
                            guint64 media_bytes, GError **error)
{
    g_autoptr(ShelfMoov) moov = shelf_moov_new();
    TkCmafInit init = {0};

    for (guint i = 0; i < count; i++) {
        const RecEntry *entry = &entries[i];
        TkCmafChunk chunk;
        gsize bytes;
        gint64 shift_ns;
        if (entry->offset > media_bytes || entry->bytes > media_bytes - entry->offset)
            break;
        const guint8 *data = media + entry->offset;
        if (entry->flags & REC_ENTRY_INIT) {
            if (!init_take(moov, data, entry->bytes, &init))
                tk_cmaf_init_clear(&init);
        } else if (init.tracks_count && rec_entry_shift(&init, entry, data, &shift_ns) &&
                   tk_cmaf_piece(data, entry->bytes, &chunk, &bytes) == TK_CMAF_CHUNK) {
            chunk_take(moov, &chunk, &init, entry->offset, shift_ns);
        }
    }
    tk_cmaf_init_clear(&init);
    if (!shelf_moov_has_samples(moov)) {
        g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND, "nothing of this stream was recorded");
        return NULL;
    }
    return head_write(moov, media_bytes);
}

gboolean shelf_download_head_fits(const guint8 *head, gsize size, guint64 media_bytes)
{
    if (size < MDAT_HEADER_BYTES)
        return FALSE;
    TkReader reader = tk_reader(head + size - MDAT_HEADER_BYTES, MDAT_HEADER_BYTES);
    guint32 one = tk_reader_u32(&reader);
    const guint8 *type = tk_reader_take(&reader, 4);
    return one == 1 && memcmp(type, "mdat", 4) == 0 &&
           tk_reader_u64(&reader) == MDAT_HEADER_BYTES + media_bytes;
}
