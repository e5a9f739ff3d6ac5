// SPDX-License-Identifier: MIT
#include "recorder/library/hls.h"

#include "common/base/clock.h"
#include "recorder/archive/gap.h"

#include <string.h>

// FNV-1a of 64 bits: a name for content, not a protection.
#define HASH_BASIS G_GUINT64_CONSTANT(0xcbf29ce484222325)
#define HASH_PRIME G_GUINT64_CONSTANT(0x100000001b3)
#define NAME_BYTES 48

typedef struct {
    guint64 offset, bytes, hash;
} Extent;

typedef struct {
    Extent at;
    Extent init;
    gint64 media_ns, duration_ns;
    gboolean discontinuity;
} Segment;

struct _ShelfPlaylist {
    GArray *segments;
    Segment open;
    gboolean has_open, has_init;
    Extent init;
    RecTrail trail;
    gboolean broken;    // the next segment does not follow on from the last one
    gboolean dependent; // some segment begins between keyframes
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

static void extent_add(Extent *extent, const RecEntry *entry)
{
    const guint32 words[] = {entry->bytes, entry->crc};
    if (extent->bytes == 0)
        *extent = (Extent){.offset = entry->offset, .hash = HASH_BASIS};
    for (guint i = 0; i < 8; i++)
        extent->hash = (extent->hash ^ (words[i / 4] >> (8 * (i % 4)) & 0xff)) * HASH_PRIME;
    extent->bytes += entry->bytes;
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
    if (playlist->trail.begun)
        segment_end(playlist, rec_entry_end_ns(&playlist->trail.before));
    playlist->broken = TRUE;
}

static void segment_open(ShelfPlaylist *playlist, const RecEntry *entry)
{
    playlist->open = (Segment){.media_ns = entry->media_ns,
                               .init = playlist->init,
                               .discontinuity = playlist->broken && playlist->segments->len > 0};
    playlist->has_open = TRUE;
}

static void entry_add(ShelfPlaylist *playlist, const RecEntry *entry)
{
    const Segment *open = &playlist->open;
    gboolean key = entry->flags & REC_ENTRY_KEY, forced = FALSE;
    RecGap gap;

    if (entry->flags & REC_ENTRY_INIT) {
        segment_break(playlist);
        playlist->init = (Extent){0};
        extent_add(&playlist->init, entry);
        playlist->has_init = TRUE;
        return;
    }
    if (!playlist->has_init)
        return;
    RecTrail trail = playlist->trail;
    // Where pictures alone are missing time goes on: a player that is told to begin anew there has
    // sound and pictures apart by what they overlap.
    gboolean gapped =
        rec_trail_next(&trail, entry, &gap) && gap.reason != rec_gap_word(REC_GAP_PICTURE);
    if (playlist->trail.begun && (gapped || rec_entry_restarts(&playlist->trail.before, entry)))
        segment_break(playlist);
    if (playlist->has_open && entry->offset != open->at.offset + open->at.bytes)
        segment_break(playlist);
    if (playlist->has_open) {
        forced = rec_entry_end_ns(entry) - open->media_ns > SHELF_HLS_LONGEST_NS;
        if (forced || (key && entry->media_ns - open->media_ns >= SHELF_HLS_SEGMENT_NS))
            segment_end(playlist, entry->media_ns);
        playlist->dependent |= forced && !key;
    }
    // What comes before a keyframe cannot be shown.
    if (!playlist->has_open && (key || forced))
        segment_open(playlist, entry);
    if (playlist->has_open)
        extent_add(&playlist->open.at, entry);
    playlist->trail = trail;
}

void shelf_playlist_add(ShelfPlaylist *playlist, const RecEntry *entries, guint count)
{
    for (guint i = 0; i < count; i++)
        entry_add(playlist, &entries[i]);
}

// How many segments there are; the last of a closed one is what was open.
static guint segments_count(const ShelfPlaylist *playlist, gboolean closed)
{
    return playlist->segments->len + (closed && playlist->has_open ? 1 : 0);
}

static Segment segment_at(const ShelfPlaylist *playlist, guint i)
{
    if (i < playlist->segments->len)
        return g_array_index(playlist->segments, Segment, i);
    Segment last = playlist->open;
    last.duration_ns = MAX(rec_entry_end_ns(&playlist->trail.before) - last.media_ns, 0);
    return last;
}

static void segment_name(const Segment *segment, char *ret)
{
    g_snprintf(ret, NAME_BYTES, "%" G_GINT64_FORMAT "-%016" G_GINT64_MODIFIER "x.m4s",
               segment->media_ns / TK_NS_PER_MS, segment->at.hash);
}

static void init_name(const Extent *init, char *ret)
{
    g_snprintf(ret, NAME_BYTES, "init-%016" G_GINT64_MODIFIER "x.mp4", init->hash);
}

static void segment_write(GString *out, const Segment *segment, const Segment *before,
                          gint64 started_ns)
{
    char name[NAME_BYTES], seconds[G_ASCII_DTOSTR_BUF_SIZE];

    if (segment->discontinuity)
        g_string_append(out, "#EXT-X-DISCONTINUITY\n");
    if (!before || before->init.hash != segment->init.hash) {
        init_name(&segment->init, name);
        g_string_append_printf(out, "#EXT-X-MAP:URI=\"%s\"\n", name);
    }
    // Between two dates players count themselves.
    if (started_ns && (!before || segment->discontinuity)) {
        g_autofree char *date = tk_clock_format_rfc3339(started_ns + segment->media_ns);
        g_string_append_printf(out, "#EXT-X-PROGRAM-DATE-TIME:%s\n", date);
    }
    g_ascii_formatd(seconds, sizeof seconds, "%.6f", (double)segment->duration_ns / 1e9);
    segment_name(segment, name);
    g_string_append_printf(out, "#EXTINF:%s,\n%s\n", seconds, name);
}

gboolean shelf_playlist_filled(const ShelfPlaylist *playlist, gboolean closed)
{
    return segments_count(playlist, closed) > 0;
}

// How many segments end before the skip boundary.
static guint segments_old(const ShelfPlaylist *playlist, guint count)
{
    gint64 left_ns = SHELF_HLS_SKIP_UNTIL_S * TK_NS_PER_S;
    while (count > 0 && left_ns > 0)
        left_ns -= segment_at(playlist, --count).duration_ns;
    return count;
}

char *shelf_playlist_text(const ShelfPlaylist *playlist, gint64 started_ns, gboolean closed,
                          gboolean delta)
{
    guint count = segments_count(playlist, closed);
    guint skipped = delta ? segments_old(playlist, count) : 0;
    gint64 longest_ns = 0;
    Segment before, segment;

    // A single chunk may be longer than any segment should be.
    for (guint i = 0; i < count; i++)
        longest_ns = MAX(longest_ns, segment_at(playlist, i).duration_ns);
    GString *out = g_string_new("#EXTM3U\n");
    g_string_append_printf(
        out, "#EXT-X-VERSION:%d\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:EVENT\n",
        skipped ? 9 : 7,
        MAX((int)((longest_ns + TK_NS_PER_S / 2) / TK_NS_PER_S), SHELF_HLS_TARGET_S));
    if (!closed)
        g_string_append_printf(out, "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=%d.0\n",
                               SHELF_HLS_SKIP_UNTIL_S);
    if (!playlist->dependent)
        g_string_append(out, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    g_string_append(out, "#EXT-X-MEDIA-SEQUENCE:0\n");
    if (skipped)
        g_string_append_printf(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS=%u\n", skipped);
    for (guint i = skipped; i < count; i++) {
        segment = segment_at(playlist, i);
        segment_write(out, &segment, i > skipped ? &before : NULL, started_ns);
        before = segment;
    }
    if (closed)
        g_string_append(out, "#EXT-X-ENDLIST\n");
    return g_string_free(out, FALSE);
}

gboolean shelf_playlist_find(const ShelfPlaylist *playlist, gboolean closed, const char *name,
                             guint64 *ret_offset, guint64 *ret_bytes)
{
    char own[NAME_BYTES];
    guint count = segments_count(playlist, closed);
    gboolean init = g_str_has_prefix(name, "init-");
    gint64 media_ms = g_ascii_strtoll(name, NULL, 10);

    for (guint i = 0; i < count; i++) {
        Segment segment = segment_at(playlist, i);
        const Extent *extent = init ? &segment.init : &segment.at;
        if (!init && segment.media_ns / TK_NS_PER_MS != media_ms)
            continue;
        if (init)
            init_name(extent, own);
        else
            segment_name(&segment, own);
        if (strcmp(own, name) != 0)
            continue;
        *ret_offset = extent->offset;
        *ret_bytes = extent->bytes;
        return TRUE;
    }
    return FALSE;
}

// Bits a second: of the segment that has the most, and of all.
static void rates(const ShelfPlaylist *playlist, gboolean closed, guint64 *ret_peak_bps,
                  guint64 *ret_mean_bps)
{
    guint count = segments_count(playlist, closed);
    double bits = 0, seconds = 0, peak = 0;

    for (guint i = 0; i < count; i++) {
        Segment segment = segment_at(playlist, i);
        double length = (double)segment.duration_ns / 1e9;
        bits += 8.0 * (double)segment.at.bytes;
        seconds += length;
        // RFC 8216 section 4.3.4.2: what is shorter than half the target duration does not count.
        if (length >= SHELF_HLS_TARGET_S / 2.0 - 0.1)
            peak = MAX(peak, 8.0 * (double)segment.at.bytes / length);
    }
    *ret_mean_bps = seconds > 0 ? (guint64)(bits / seconds) : 0;
    *ret_peak_bps = MAX((guint64)peak, *ret_mean_bps);
}

// The codecs parameter of a media type, quotes included; NULL: none. Newly allocated.
static char *mime_codecs(const char *mime)
{
    const char *at = mime ? strstr(mime, "codecs=\"") : NULL;
    const char *end = at ? strchr(at + strlen("codecs=\""), '"') : NULL;
    return end ? g_strndup(at + strlen("codecs="), (gsize)(end + 1 - (at + strlen("codecs="))))
               : NULL;
}

char *shelf_multivariant_text(const ShelfPlaylist *playlist, gboolean closed, const char *name,
                              const char *mime, guint width, guint height)
{
    GString *out = g_string_new("#EXTM3U\n#EXT-X-VERSION:7\n");
    g_autofree char *codecs = mime_codecs(mime);
    guint64 peak_bps, mean_bps;

    rates(playlist, closed, &peak_bps, &mean_bps);
    g_string_append_printf(out,
                           "#EXT-X-STREAM-INF:BANDWIDTH=%" G_GUINT64_FORMAT
                           ",AVERAGE-BANDWIDTH=%" G_GUINT64_FORMAT,
                           peak_bps, mean_bps);
    if (codecs)
        g_string_append_printf(out, ",CODECS=%s", codecs);
    if (width && height)
        g_string_append_printf(out, ",RESOLUTION=%ux%u", width, height);
    g_string_append_printf(out, "\n%s/playlist.m3u8\n", name);
    return g_string_free(out, FALSE);
}
