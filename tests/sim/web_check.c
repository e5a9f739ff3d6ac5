// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/media/cmaf_read.h"

#define TEXT_MAX 65536
// docs/protocol.md section 4: at a step down a group of pictures comes twice at most; at a step up
// a part of one (RELAY: a quarter of a second). Sound lies up to 300 ms before its pictures.
#define GROUP_NS (STUDIO_KEY_EVERY * STUDIO_FRAME_MS * TK_NS_PER_MS)
#define UP_TWICE_NS (250 * TK_NS_PER_MS)
#define SOUND_BEFORE_NS (300 * TK_NS_PER_MS)
#define KEY_SLACK_NS (20 * TK_NS_PER_MS)
// Times are ticks, and reports' clocks shake.
#define ROUNDING_NS (50 * 1000)

static void take_text(Watcher *w, const char *data, gsize bytes)
{
    WebCheck *c = &w->web;
    g_autoptr(json_t) object = tk_json_parse(data, bytes, TEXT_MAX, NULL);
    must(w, json_is_object(object));
    const char *type = tk_json_string(object, "type", "");
    if (g_str_equal(type, "rendition")) {
        RelayRendition to;
        gboolean known = relay_rendition_from_word(tk_json_string(object, "rendition", ""), &to);
        must(w, known && to != c->at);
        c->up = to < c->at;
        c->at = to;
        c->moved = TRUE;
        c->init = c->gap = FALSE;
        c->chunk = 0;
        watcher_moved(w, to);
    } else if (g_str_equal(type, "gap")) {
        must(w, tk_json_int(object, "from", 0) == (gint64)c->chunk + 1 || !c->chunk);
        c->gap = TRUE;
        c->gaps++;
    } else if (g_str_equal(type, "init")) {
        c->named = TRUE;
    }
}

static gboolean read_init(WebTracks *tracks, const guint8 *data, gsize bytes, gboolean *ret_picture)
{
    TkCmafInit init;
    *ret_picture = FALSE;
    if (!tk_cmaf_init_parse(data, bytes, &init))
        return FALSE;
    for (guint i = 0; i < init.tracks_count; i++) {
        guint id = init.tracks[i].track_id - 1;
        tracks->is_sound[id] = init.tracks[i].kind == TK_TRACK_AUDIO;
        tracks->timescale[id] = init.tracks[i].timescale;
        *ret_picture |= !tracks->is_sound[id];
    }
    tk_cmaf_init_clear(&init);
    return TRUE;
}

static void take_init(Watcher *w, const guint8 *data, gsize bytes)
{
    WebCheck *c = &w->web;
    gboolean picture, valid = read_init(&c->tracks, data, bytes, &picture);
    must(w, valid && c->named);
    must(w, picture == (c->at != RELAY_RENDITION_AUDIO));
    c->named = FALSE;
    c->init = TRUE;
}

static gint64 ns_of(gint64 ticks, guint32 timescale)
{
    return (gint64)((double)ticks * 1e9 / timescale);
}

static gint64 made_ns(guint track, guint frame)
{
    return track ? ns_of((gint64)frame * STUDIO_SOUND_TICKS, 48000)
                 : frame * STUDIO_FRAME_MS * TK_NS_PER_MS;
}

// A frame stands at the same media time in whatever rendition it comes.
static void check_time(Watcher *w, guint track, guint frame, gint64 at_ns)
{
    WebCheck *c = &w->web;
    gint64 base_ns = at_ns - made_ns(track, frame);
    if (!(track ? c->heard : c->seen))
        c->base_ns[track] = base_ns;
    gint64 off_ns = base_ns - c->base_ns[track];
    c->worst_ns = MAX(c->worst_ns, ABS(off_ns));

    must(w, ABS(off_ns) <= ROUNDING_NS + 2 * w->hall->studio.plan->shake_ns);
}

static void check_sound(Watcher *w, guint frame, gboolean first)
{
    WebCheck *c = &w->web;
    if (!c->heard)
        return;
    if (first && c->moved)
        must(w, frame <= c->sound + 1);
    else if (!(first && c->gap))
        must(w, frame == c->sound + 1);
}

static void check_picture(Watcher *w, const StudioMark *mark, gboolean first, gint64 at_ns)
{
    WebCheck *c = &w->web;
    guint step = mark->stream == STUDIO_LOW ? 2 : 1;
    must(w, mark->stream == (c->at == RELAY_RENDITION_LOW ? STUDIO_LOW : STUDIO_MAIN));
    if (first && (c->moved || c->gap || !c->chunk))
        must(w, mark->key);
    else
        must(w, c->seen && mark->frame == c->frame + step);
    if (first && c->moved && c->heard) {
        gint64 twice_ns = c->up ? UP_TWICE_NS : GROUP_NS;
        must(w, at_ns <= c->sent_ns + KEY_SLACK_NS);
        must(w, at_ns >= c->sent_ns - twice_ns - SOUND_BEFORE_NS);
    }
}

typedef struct {
    guint track;
    gint64 at_ns, end_ns;
    StudioMark mark;
} Sample;

// The next sample of a run; *at_ticks is where it stands, then where it ends.
static gboolean next_sample(const WebTracks *c, const TkCmafRunInfo *run, const guint8 *data,
                            TkCmafCursor *cursor, gint64 *at_ticks, Sample *ret)
{
    TkCmafSampleAt at;
    guint id = run->track_id - 1;
    if (id > 1 || !tk_cmaf_sample_next(run, cursor, &at))
        return FALSE;
    ret->track = c->is_sound[id];
    ret->at_ns = ns_of(*at_ticks + at.sample.cts_offset, c->timescale[id]);
    *at_ticks += at.sample.duration;
    ret->end_ns = ns_of(*at_ticks, c->timescale[id]);
    return studio_read_mark(data + at.offset, at.sample.size, &ret->mark);
}

static gint64 take_run(Watcher *w, const TkCmafRunInfo *run, const guint8 *data)
{
    WebCheck *c = &w->web;
    TkCmafCursor cursor = {0};
    Sample s = {0};
    gint64 at_ticks = (gint64)run->decode_time;
    guint count = 0;
    for (; next_sample(&c->tracks, run, data, &cursor, &at_ticks, &s); count++) {
        check_time(w, s.track, s.mark.frame, s.at_ns);
        if (s.track)
            check_sound(w, s.mark.frame, count == 0);
        else
            check_picture(w, &s.mark, count == 0, s.at_ns);
        *(s.track ? &c->sound : &c->frame) = s.mark.frame;
        *(s.track ? &c->heard : &c->seen) = TRUE;
    }
    must(w, count == run->samples_count);
    return s.end_ns;
}

static void take_chunk(Watcher *w, const TkCmafChunk *chunk, const guint8 *data)
{
    WebCheck *c = &w->web;
    gint64 sent_ns = 0;
    must(w, c->init);
    must(w, !c->chunk || chunk->sequence == c->chunk + 1 || (c->gap && chunk->sequence > c->chunk));
    for (guint i = 0; i < chunk->runs_count; i++) {
        gint64 end_ns = take_run(w, &chunk->runs[i], data);
        if (i == 0)
            sent_ns = end_ns;
    }
    c->sent_ns = sent_ns;
    c->chunk = chunk->sequence;
    c->moved = c->gap = FALSE;
}

void web_check_sent(Watcher *watcher, const char *data, gsize bytes)
{
    TkCmafChunk chunk;
    gsize size;
    if (*data == '{') {
        take_text(watcher, data, bytes);
        return;
    }
    const guint8 *bits = (const guint8 *)data;
    TkCmafPiece piece = tk_cmaf_piece(bits, bytes, &chunk, &size);
    must(watcher, (piece == TK_CMAF_INIT || piece == TK_CMAF_CHUNK) && size == bytes);
    if (piece == TK_CMAF_INIT)
        take_init(watcher, bits, bytes);
    else
        take_chunk(watcher, &chunk, bits);
}

guint web_check_sounds(WebTracks *tracks, const char *data, gsize bytes, guint *ret_first,
                       gint64 *ret_end_ns)
{
    const guint8 *bits = (const guint8 *)data;
    TkCmafChunk chunk;
    gsize size;
    guint sounds = 0;
    gboolean picture;
    if (*data == '{')
        return 0;
    if (tk_cmaf_piece(bits, bytes, &chunk, &size) != TK_CMAF_CHUNK) {
        (void)!read_init(tracks, bits, bytes, &picture);
        return 0;
    }
    for (guint i = 0; i < chunk.runs_count; i++) {
        TkCmafCursor cursor = {0};
        Sample s;
        gint64 at_ticks = (gint64)chunk.runs[i].decode_time;
        while (next_sample(tracks, &chunk.runs[i], bits, &cursor, &at_ticks, &s)) {
            if (s.track && !sounds++)
                *ret_first = s.mark.frame;
            if (i == 0)
                *ret_end_ns = s.end_ns;
        }
    }
    return sounds;
}
