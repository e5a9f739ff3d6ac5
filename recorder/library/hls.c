// SPDX-License-Identifier: MIT
#include "recorder/library/hls.h"

#include "common/base/clock.h"
#include "recorder/archive/lesson.h"

// Stays the same while an EVENT playlist grows (RFC 8216 section 6.2.1) unless a sender spaces its
// keyframes wider than that.
#define TARGET_S_MIN 6

typedef struct {
    guint64 offset, bytes;
    gint64 media_ns, duration_ns;
    guint64 init_offset;
    guint32 init_bytes;
    gboolean discontinuity;
} Segment;

struct _ShelfPlaylist {
    GArray *segments;
    Segment open;
    gboolean has_open, has_init, has_before;
    RecEntry init;
    RecEntry before; // the last chunk
    gboolean broken; // the next segment does not follow on from the last one
};

ShelfPlaylist *shelf_playlist_new(void)
{
    ShelfPlaylist *playlist = g_new0(ShelfPlaylist, 1);
    playlist->segments = g_array_new(FALSE, FALSE, sizeof(Segment));
    return playlist;
}

void shelf_playlist_free(ShelfPlaylist *playlist)
{
    if (!playlist)
        return;
    g_array_unref(playlist->segments);
    g_free(playlist);
}

static void segment_end(ShelfPlaylist *playlist, gint64 end_ns)
{
    if (!playlist->has_open)
        return;
    playlist->open.duration_ns = MAX(end_ns - playlist->open.media_ns, 0);
    g_array_append_val(playlist->segments, playlist->open);
    playlist->has_open = FALSE;
    playlist->broken = FALSE;
}

static void segment_break(ShelfPlaylist *playlist)
{
    if (playlist->has_before)
        segment_end(playlist, rec_entry_end_ns(&playlist->before));
    playlist->broken = TRUE;
}

static void entry_add(ShelfPlaylist *playlist, const RecEntry *entry)
{
    Segment *open = &playlist->open;
    RecGap gap;

    if (entry->flags & REC_ENTRY_INIT) {
        segment_break(playlist);
        playlist->init = *entry;
        playlist->has_init = TRUE;
        return;
    }
    if (!playlist->has_init)
        return;
    if (playlist->has_before && (rec_gap_between(&playlist->before, entry, &gap) ||
                                 rec_entry_restarts(&playlist->before, entry)))
        segment_break(playlist);
    if (playlist->has_open && entry->offset != open->offset + open->bytes)
        segment_break(playlist);
    if (playlist->has_open && (entry->flags & REC_ENTRY_KEY) &&
        entry->media_ns - open->media_ns >= SHELF_HLS_SEGMENT_NS)
        segment_end(playlist, entry->media_ns);
    // What comes before a keyframe cannot be shown.
    if (!playlist->has_open && (entry->flags & REC_ENTRY_KEY)) {
        *open = (Segment){.offset = entry->offset,
                          .media_ns = entry->media_ns,
                          .init_offset = playlist->init.offset,
                          .init_bytes = playlist->init.bytes,
                          .discontinuity = playlist->broken && playlist->segments->len > 0};
        playlist->has_open = TRUE;
    }
    if (playlist->has_open)
        open->bytes += entry->bytes;
    playlist->before = *entry;
    playlist->has_before = TRUE;
}

void shelf_playlist_add(ShelfPlaylist *playlist, const RecEntry *entries, guint count)
{
    for (guint i = 0; i < count; i++)
        entry_add(playlist, &entries[i]);
}

static void segment_write(GString *out, const Segment *segment, const Segment *before,
                          gint64 started_ns, const char *query)
{
    if (segment->discontinuity)
        g_string_append(out, "#EXT-X-DISCONTINUITY\n");
    if (!before || before->init_offset != segment->init_offset)
        g_string_append_printf(
            out, "#EXT-X-MAP:URI=\"media.mp4%s\",BYTERANGE=\"%u@%" G_GUINT64_FORMAT "\"\n", query,
            segment->init_bytes, segment->init_offset);
    if (started_ns) {
        g_autofree char *date = tk_clock_format_rfc3339(started_ns + segment->media_ns);
        g_string_append_printf(out, "#EXT-X-PROGRAM-DATE-TIME:%s\n", date);
    }
    char seconds[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_formatd(seconds, sizeof seconds, "%.6f", (double)segment->duration_ns / 1e9);
    g_string_append_printf(out,
                           "#EXTINF:%s,\n#EXT-X-BYTERANGE:%" G_GUINT64_FORMAT "@%" G_GUINT64_FORMAT
                           "\nmedia.mp4%s\n",
                           seconds, segment->bytes, segment->offset, query);
}

char *shelf_playlist_text(const ShelfPlaylist *playlist, gint64 started_ns, gboolean closed,
                          const char *query)
{
    const GArray *segments = playlist->segments;
    const Segment *before = NULL;
    Segment last = playlist->open;
    gboolean with_last = closed && playlist->has_open;
    gint64 longest_ns = 0;

    if (with_last)
        last.duration_ns = MAX(rec_entry_end_ns(&playlist->before) - last.media_ns, 0);
    for (guint i = 0; i < segments->len; i++)
        longest_ns = MAX(longest_ns, g_array_index(segments, Segment, i).duration_ns);
    if (with_last)
        longest_ns = MAX(longest_ns, last.duration_ns);

    GString *out = g_string_new("#EXTM3U\n#EXT-X-VERSION:7\n");
    g_string_append_printf(out, "#EXT-X-TARGETDURATION:%d\n",
                           MAX((int)((longest_ns + TK_NS_PER_S / 2) / TK_NS_PER_S), TARGET_S_MIN));
    g_string_append_printf(out, "#EXT-X-PLAYLIST-TYPE:%s\n", closed ? "VOD" : "EVENT");
    g_string_append(out, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (guint i = 0; i < segments->len; i++) {
        const Segment *segment = &g_array_index(segments, Segment, i);
        segment_write(out, segment, before, started_ns, query);
        before = segment;
    }
    if (with_last)
        segment_write(out, &last, before, started_ns, query);
    if (closed)
        g_string_append(out, "#EXT-X-ENDLIST\n");
    return g_string_free(out, FALSE);
}
