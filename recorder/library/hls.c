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
    const RecEntry *init;
    gboolean discontinuity;
} Segment;

typedef struct {
    GArray *segments;
    Segment open;
    gboolean has_open;
    const RecEntry *init;
    const RecEntry *before;
    gboolean broken; // the next segment does not follow on from the last one
} Cutter;

static void segment_end(Cutter *cutter, gint64 end_ns)
{
    if (!cutter->has_open)
        return;
    cutter->open.duration_ns = MAX(end_ns - cutter->open.media_ns, 0);
    g_array_append_val(cutter->segments, cutter->open);
    cutter->has_open = FALSE;
    cutter->broken = FALSE;
}

static void segment_break(Cutter *cutter)
{
    if (cutter->before)
        segment_end(cutter, rec_entry_end_ns(cutter->before));
    cutter->broken = TRUE;
}

static void cutter_add(Cutter *cutter, const RecEntry *entry)
{
    RecGap gap;

    if (entry->flags & REC_ENTRY_INIT) {
        segment_break(cutter);
        cutter->init = entry;
        return;
    }
    if (!cutter->init)
        return;
    if (cutter->before &&
        (rec_gap_between(cutter->before, entry, &gap) || rec_entry_restarts(cutter->before, entry)))
        segment_break(cutter);
    if (cutter->has_open && entry->offset != cutter->open.offset + cutter->open.bytes)
        segment_break(cutter);
    if (cutter->has_open && (entry->flags & REC_ENTRY_KEY) &&
        entry->media_ns - cutter->open.media_ns >= SHELF_HLS_SEGMENT_NS)
        segment_end(cutter, entry->media_ns);
    // What comes before a keyframe cannot be shown.
    if (!cutter->has_open && (entry->flags & REC_ENTRY_KEY)) {
        cutter->open = (Segment){.offset = entry->offset,
                                 .media_ns = entry->media_ns,
                                 .init = cutter->init,
                                 .discontinuity = cutter->broken && cutter->segments->len > 0};
        cutter->has_open = TRUE;
    }
    if (cutter->has_open)
        cutter->open.bytes += entry->bytes;
    cutter->before = entry;
}

static void segment_write(GString *out, const Segment *segment, const Segment *before,
                          gint64 started_ns, const char *query)
{
    if (segment->discontinuity)
        g_string_append(out, "#EXT-X-DISCONTINUITY\n");
    if (!before || before->init != segment->init)
        g_string_append_printf(
            out, "#EXT-X-MAP:URI=\"media.mp4%s\",BYTERANGE=\"%u@%" G_GUINT64_FORMAT "\"\n", query,
            segment->init->bytes, segment->init->offset);
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

char *shelf_hls_playlist(const RecEntry *entries, guint count, gint64 started_ns, gboolean closed,
                         const char *query)
{
    g_autoptr(GArray) segments = g_array_new(FALSE, FALSE, sizeof(Segment));
    Cutter cutter = {.segments = segments};
    gint64 longest_ns = 0;

    for (guint i = 0; i < count; i++)
        cutter_add(&cutter, &entries[i]);
    if (closed && cutter.before)
        segment_end(&cutter, rec_entry_end_ns(cutter.before));
    for (guint i = 0; i < segments->len; i++)
        longest_ns = MAX(longest_ns, g_array_index(segments, Segment, i).duration_ns);

    GString *out = g_string_new("#EXTM3U\n#EXT-X-VERSION:7\n");
    g_string_append_printf(out, "#EXT-X-TARGETDURATION:%d\n",
                           MAX((int)((longest_ns + TK_NS_PER_S / 2) / TK_NS_PER_S), TARGET_S_MIN));
    g_string_append_printf(out, "#EXT-X-PLAYLIST-TYPE:%s\n", closed ? "VOD" : "EVENT");
    g_string_append(out, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (guint i = 0; i < segments->len; i++)
        segment_write(out, &g_array_index(segments, Segment, i),
                      i ? &g_array_index(segments, Segment, i - 1) : NULL, started_ns, query);
    if (closed)
        g_string_append(out, "#EXT-X-ENDLIST\n");
    return g_string_free(out, FALSE);
}
