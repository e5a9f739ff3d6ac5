// SPDX-License-Identifier: MIT
#include "common/media/cmaf_mux.h"

#include "common/media/box.h"

#define NS_PER_S G_GINT64_CONSTANT(1000000000)
// Seconds from 1900 (NTP) to 1970.
#define NTP_1970 G_GUINT64_CONSTANT(2208988800)

typedef struct {
    TkCmafTrack cmaf;
    gboolean there;
    GArray *pending;   // TkCmafSample; durations are set when the next one is known
    GArray *times;     // gint64, their decode times
    GByteArray *bytes; // theirs
    gint64 wall_ns;    // of the first
    gint64 last, usual;
} Track;

struct _TkCmafMux {
    Track tracks[2]; // by TkTrackKind
    TkCmafMuxFunc func;
    void *user;
};

TkCmafMux *tk_cmaf_mux_new(const TkCmafTrack *tracks, guint count, TkCmafMuxFunc func, void *user)
{
    TkCmafMux *mux = g_new0(TkCmafMux, 1);
    mux->func = func;
    mux->user = user;
    for (guint i = 0; i < G_N_ELEMENTS(mux->tracks); i++) {
        Track *t = &mux->tracks[i];
        t->pending = g_array_new(FALSE, FALSE, sizeof(TkCmafSample));
        t->times = g_array_new(FALSE, FALSE, sizeof(gint64));
        t->bytes = g_byte_array_new();
        t->last = -1;
    }
    for (guint i = 0; i < count; i++) {
        Track *t = &mux->tracks[tracks[i].kind];
        t->there = TRUE;
        t->cmaf = tracks[i];
        // Until two samples are known: a 25th of a second, an AAC frame.
        t->usual = t->cmaf.kind == TK_TRACK_VIDEO ? t->cmaf.timescale / 25 : 1024;
    }
    return mux;
}

void tk_cmaf_mux_free(TkCmafMux *mux)
{
    if (!mux)
        return;
    for (guint i = 0; i < G_N_ELEMENTS(mux->tracks); i++) {
        g_array_unref(mux->tracks[i].pending);
        g_array_unref(mux->tracks[i].times);
        g_byte_array_unref(mux->tracks[i].bytes);
    }
    g_free(mux);
}

static gint64 time_at(const Track *t, guint index)
{
    return g_array_index(t->times, gint64, index);
}

// The first `n` pending samples; `next`: decode time of what follows them, or -1.
static TkCmafRun run_make(Track *t, guint n, gint64 next)
{
    TkCmafRun run = {.track_id = t->cmaf.track_id,
                     .decode_time = (guint64)time_at(t, 0),
                     .samples = (const TkCmafSample *)(const void *)t->pending->data,
                     .samples_count = n,
                     .data = t->bytes->data};
    for (guint i = 0; i < n; i++) {
        TkCmafSample *sample = &g_array_index(t->pending, TkCmafSample, i);
        gint64 following = i + 1 < t->pending->len ? time_at(t, i + 1) : next;
        gint64 duration = following - time_at(t, i);
        // A pause does not stretch the sample before it.
        if (following < 0 || duration <= 0 || duration > t->cmaf.timescale)
            duration = t->usual;
        sample->duration = (guint32)duration;
        run.data_bytes += sample->size;
    }
    return run;
}

static void run_drop(Track *t, const TkCmafRun *run)
{
    gsize bytes = run->data_bytes;
    gint64 passed =
        run->samples_count < t->pending->len ? time_at(t, run->samples_count) - time_at(t, 0) : -1;
    if (passed < 0)
        t->wall_ns = 0;
    else if (t->wall_ns)
        t->wall_ns += (gint64)((double)passed / t->cmaf.timescale * 1e9);
    g_array_remove_range(t->pending, 0, run->samples_count);
    g_array_remove_range(t->times, 0, run->samples_count);
    g_byte_array_remove_range(t->bytes, 0, (guint)bytes);
}

static guint64 ntp_from_wall(gint64 wall_ns)
{
    guint64 s = (guint64)(wall_ns / NS_PER_S) + NTP_1970, ns = (guint64)(wall_ns % NS_PER_S);
    return s << 32 | (ns << 32) / (guint64)NS_PER_S;
}

static guint pending_before(const Track *sound, const Track *picture, gint64 end)
{
    guint n = 0;
    while (n < sound->pending->len &&
           time_at(sound, n) * picture->cmaf.timescale < end * sound->cmaf.timescale)
        n++;
    return n;
}

// All pending pictures and the sound before their end; without pictures all pending sound.
static void chunk_close(TkCmafMux *mux, gint64 next_video, gint64 next_audio)
{
    Track *picture = &mux->tracks[TK_TRACK_VIDEO], *sound = &mux->tracks[TK_TRACK_AUDIO];
    Track *owners[TK_CMAF_TRACKS_MAX];
    TkCmafRun runs[TK_CMAF_TRACKS_MAX];
    guint count = 0, pictures = picture->pending->len, sounds = sound->pending->len;

    if (pictures) {
        owners[count] = picture;
        runs[count++] = run_make(picture, pictures, next_video);
        const TkCmafSample *last = &g_array_index(picture->pending, TkCmafSample, pictures - 1);
        sounds = pending_before(sound, picture, time_at(picture, pictures - 1) + last->duration);
    }
    if (sounds) {
        owners[count] = sound;
        runs[count++] = run_make(sound, sounds, next_audio);
    }
    if (count == 0)
        return;
    gint64 wall_ns = owners[0]->wall_ns;
    guint64 ntp = wall_ns > 0 ? ntp_from_wall(wall_ns) : 0;
    gsize size = tk_cmaf_chunk_bytes(runs, count, ntp != 0);
    guint8 *data = g_malloc(size);
    tk_cmaf_chunk_write(data, 0, ntp, runs, count);
    gboolean key = (pictures || !picture->there) && runs[0].samples[0].key;
    g_autoptr(GBytes) chunk = g_bytes_new_take(data, size);
    for (guint i = 0; i < count; i++)
        run_drop(owners[i], &runs[i]);
    mux->func(mux->user, chunk, key);
}

gboolean tk_cmaf_mux_push(TkCmafMux *mux, const TkCmafMuxSample *sample)
{
    Track *t = &mux->tracks[sample->kind];
    gboolean video = sample->kind == TK_TRACK_VIDEO;
    gboolean leads = video || !mux->tracks[TK_TRACK_VIDEO].there;

    if (!t->there || sample->decode <= t->last || sample->size > G_MAXUINT32)
        return FALSE;
    gint64 length = t->pending->len ? sample->decode - time_at(t, 0) : 0;
    if (t->pending->len &&
        ((leads && ((video && sample->key) ||
                    length * 1000 >= (gint64)t->cmaf.timescale * TK_CMAF_MUX_CHUNK_MS)) ||
         t->pending->len >= TK_CMAF_SAMPLES_MAX / 2))
        chunk_close(mux, video ? sample->decode : -1, video ? -1 : sample->decode);
    if (t->last >= 0 && sample->decode - t->last <= t->cmaf.timescale)
        t->usual = sample->decode - t->last;
    if (t->pending->len == 0)
        t->wall_ns = sample->wall_ns;
    TkCmafSample pending = {
        .size = (guint32)sample->size, .cts_offset = sample->cts_offset, .key = sample->key};
    g_array_append_val(t->pending, pending);
    g_array_append_val(t->times, sample->decode);
    g_byte_array_append(t->bytes, sample->data, (guint)sample->size);
    t->last = sample->decode;
    return TRUE;
}

void tk_cmaf_mux_flush(TkCmafMux *mux, gint64 next_video, gint64 next_audio)
{
    chunk_close(mux, next_video, next_audio); // pictures and the sound beside them,
    chunk_close(mux, next_video, next_audio); // and the sound after them
}
