// SPDX-License-Identifier: MIT
#include "relay/core/packager.h"

#include "relay/core/decode.h"
#include "relay/core/ticks.h"
#include "relay/core/video_config.h"

#define FRAME_NS_MAX TK_NS_PER_S // a longer step between samples is a pause
#define NO_NEXT G_MININT64
#define SILENT_PICTURES 3     // so many that do not come are silence
#define EARLY_NS TK_NS_PER_MS // more than rounding puts a first key frame before zero

typedef struct {
    gint64 decode; // media time, ticks
    gint64 captured_wall_ns;
    gint32 cts_offset;
    guint32 size;
    gboolean key;
} Pending;

typedef struct {
    TkCmafTrack cmaf; // config borrowed from `config`
    GBytes *config;   // NULL until known
    double fps;
    GArray *pending;    // of Pending
    GByteArray *bytes;  // theirs
    gint64 since_ns;    // monotonic: when the first of them came
    gint64 last;        // decode time of the newest sample; -1
    gint64 end;         // of what was given out
    gint64 usual, step; // ticks to the next sample as expected; the last one seen
    RelayDecode decode; // video
    TkCmafSample run[TK_CMAF_SAMPLES_MAX];
    guint64 dropped;
} Track;

struct _RelayPackager {
    RelayInputSink sink;
    void *user;
    guint count;
    gint64 chunk_ns;
    Track tracks[RELAY_INPUT_TRACKS_MAX];
    Track *video, *audio; // into `tracks`, or NULL
    guint32 sequence;     // of the newest chunk
    gboolean init_needed, has_format;
    RelayStreamFormat format;
    gboolean waiting; // for this sender's first key frame,
    gint64 begun_ns;  // since then
    gint64 video_ns;  // when the last picture came,
    gint64 audio_ns;  // and the last sound
    gint64 start_ns;  // media time before which this sender's sound is not wanted
};

static gint64 to_ns(const Track *t, gint64 ticks)
{
    return relay_ticks_to_ns(ticks, t->cmaf.timescale);
}

static gint64 from_ns(const Track *t, gint64 ns)
{
    return relay_ticks_from_ns(ns, t->cmaf.timescale);
}

static Pending *pending_at(const Track *t, guint index)
{
    return &g_array_index(t->pending, Pending, index);
}

RelayPackager *relay_packager_new(const RelayTrackFormat *formats, guint count, gint64 chunk_ns,
                                  const RelayInputSink *sink, void *user)
{
    RelayPackager *p = g_new0(RelayPackager, 1);
    p->sink = *sink;
    p->user = user;
    p->count = count;
    p->chunk_ns = chunk_ns;
    for (guint i = 0; i < count; i++) {
        Track *t = &p->tracks[i];
        t->cmaf = (TkCmafTrack){
            .kind = formats[i].kind, .track_id = i + 1, .timescale = formats[i].clock_rate};
        t->pending = g_array_new(FALSE, FALSE, sizeof(Pending));
        t->bytes = g_byte_array_new();
        t->last = -1;
        if (formats[i].kind == TK_TRACK_VIDEO)
            p->video = t;
        else
            p->audio = t;
    }
    return p;
}

void relay_packager_free(RelayPackager *p)
{
    if (!p)
        return;
    for (guint i = 0; i < p->count; i++) {
        g_clear_pointer(&p->tracks[i].config, g_bytes_unref);
        g_array_unref(p->tracks[i].pending);
        g_byte_array_unref(p->tracks[i].bytes);
    }
    g_free(p);
}

// Decoder configurations

static gboolean take_config(RelayPackager *p, Track *t, GBytes *config)
{
    if (t->config && g_bytes_equal(t->config, config))
        return FALSE;
    g_bytes_ref(config);
    g_clear_pointer(&t->config, g_bytes_unref);
    t->config = config;
    t->cmaf.config = (guint8 *)g_bytes_get_data(config, &t->cmaf.config_bytes);
    p->init_needed = TRUE;
    return TRUE;
}

static void take_video_config(RelayPackager *p, GBytes *config)
{
    Track *t = p->video;
    RelayVideoConfig c;
    if (!take_config(p, t, config) || !relay_video_config_parse(config, &c))
        return;
    t->cmaf.width = c.sps.width;
    t->cmaf.height = c.sps.height;
    t->fps = c.fps;
    t->usual = t->step = from_ns(t, c.frame_ns);
    relay_decode_start(&t->decode, c.sps.reorder_frames);
}

static void take_audio_config(RelayPackager *p, const TkAacConfig *aac)
{
    Track *t = p->audio;
    g_autoptr(GBytes) config = g_bytes_new(aac->config, aac->config_bytes);
    take_config(p, t, config);
    t->cmaf.channels = aac->channels;
    t->cmaf.rate = aac->rate;
    t->usual = relay_ticks_scale(t->cmaf.timescale, aac->frame_samples, aac->rate);
}

static guint configured(const RelayPackager *p, TkCmafTrack *ret)
{
    guint n = 0;
    for (guint i = 0; i < p->count; i++) {
        if (p->tracks[i].config)
            ret[n++] = p->tracks[i].cmaf;
    }
    return n;
}

static void give_init(RelayPackager *p, gint64 now_ns)
{
    TkCmafTrack tracks[TK_CMAF_TRACKS_MAX];
    guint count = configured(p, tracks);
    g_autoptr(GBytes) bytes = tk_cmaf_init_write(tracks, count);
    g_autofree char *codecs = tk_cmaf_codecs(tracks, count);
    gboolean has_video = p->video && p->video->config;
    p->format = (RelayStreamFormat){.has_video = has_video, .has_audio = p->audio != NULL};
    if (has_video) {
        p->format.width = p->video->cmaf.width;
        p->format.height = p->video->cmaf.height;
        p->format.fps = p->video->fps;
    }
    g_snprintf(p->format.mime, sizeof p->format.mime, "%s/mp4; codecs=\"%s\"",
               has_video ? "video" : "audio", codecs);
    for (guint i = 0; i < count; i++)
        p->format.timescale[tracks[i].track_id - 1] = tracks[i].timescale;
    p->has_format = TRUE;
    p->init_needed = FALSE;

    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    RelayUnit *unit = relay_unit_new(size);
    memcpy(unit->data, data, size);
    unit->bytes = (guint32)size;
    unit->flags = RELAY_UNIT_INIT;
    unit->number = (guint64)p->sequence + 1;
    unit->arrived_ns = now_ns;
    p->sink.on_init(p->user, unit, &p->format);
}

// Chunks

// The first `n` pending samples as a run; `next`: decode time of the sample that follows them, or
// NO_NEXT. A pause does not stretch the sample before it.
static TkCmafRun make_run(Track *t, guint n, gint64 next)
{
    TkCmafRun run = {.track_id = t->cmaf.track_id,
                     .decode_time = (guint64)pending_at(t, 0)->decode,
                     .samples = t->run,
                     .samples_count = n,
                     .data = t->bytes->data};
    for (guint i = 0; i < n; i++) {
        const Pending *s = pending_at(t, i);
        gint64 following = i + 1 < n ? pending_at(t, i + 1)->decode : next;
        gint64 duration = following == NO_NEXT ? t->usual : following - s->decode;
        if (i + 1 == n && (duration <= 0 || duration > from_ns(t, FRAME_NS_MAX)))
            duration = t->usual;
        t->run[i] = (TkCmafSample){.duration = (guint32)duration,
                                   .size = s->size,
                                   .cts_offset = s->cts_offset,
                                   .key = s->key};
        run.data_bytes += s->size;
        t->end = s->decode + duration;
    }
    return run;
}

static guint pending_before(const Track *t, gint64 until_ns)
{
    guint n = 0;
    while (n < t->pending->len && to_ns(t, pending_at(t, n)->decode) < until_ns)
        n++;
    return n;
}

static void discard(Track *t, guint n, gint64 now_ns)
{
    gsize bytes = 0;
    for (guint i = 0; i < n; i++)
        bytes += pending_at(t, i)->size;
    g_array_remove_range(t->pending, 0, n);
    g_byte_array_remove_range(t->bytes, 0, (guint)bytes);
    t->since_ns = now_ns;
}

// Where neither comes the line is silent, not the camera: what comes next may be both. A camera of
// a picture a second is not silent between them.
static gboolean sound_leads(const RelayPackager *p)
{
    const Track *t = p->video;
    if (p->waiting)
        return FALSE;
    return !t || (!t->pending->len &&
                  p->audio_ns - p->video_ns >
                      MAX(RELAY_PACKAGER_VIDEO_SILENT_NS, SILENT_PICTURES * to_ns(t, t->usual)));
}

static void give_chunk(RelayPackager *p, const TkCmafRun *runs, guint count, const Track *first,
                       gint64 now_ns)
{
    gint64 wall_ns = pending_at(first, 0)->captured_wall_ns;
    guint64 ntp = wall_ns ? tk_clock_ntp_from_wall(wall_ns) : 0;
    RelayUnit *unit = relay_unit_new(tk_cmaf_chunk_bytes(runs, count, ntp != 0));
    tk_cmaf_chunk_write(unit->data, ++p->sequence, ntp, runs, count);
    unit->number = p->sequence;
    unit->arrived_ns = now_ns;
    unit->media_ns = to_ns(first, (gint64)runs[0].decode_time);
    if (p->format.has_video && first != p->video)
        unit->flags = sound_leads(p) ? RELAY_UNIT_BLIND : 0; // else what is left of a sender
    else if (pending_at(first, 0)->key)
        unit->flags = RELAY_UNIT_KEY;
    p->sink.on_chunk(p->user, unit);
}

// All pending pictures and the sound up to their end; without pictures all pending sound. `next`:
// decode time of the picture that follows, or NO_NEXT.
static void close_chunk(RelayPackager *p, gint64 next, gint64 now_ns)
{
    TkCmafRun runs[RELAY_INPUT_TRACKS_MAX];
    guint count = 0, pictures = p->video ? p->video->pending->len : 0, sounds = 0;
    gint64 until_ns = G_MAXINT64;
    if (pictures) {
        runs[count++] = make_run(p->video, pictures, next);
        until_ns = to_ns(p->video, p->video->end);
    }
    if (p->audio)
        sounds = pending_before(p->audio, until_ns);
    if (sounds) {
        gboolean more = sounds < p->audio->pending->len;
        gint64 following = more ? pending_at(p->audio, sounds)->decode : NO_NEXT;
        runs[count++] = make_run(p->audio, sounds, following);
    }
    if (!count)
        return;
    if (p->init_needed)
        give_init(p, now_ns);
    give_chunk(p, runs, count, pictures ? p->video : p->audio, now_ns);
    if (pictures)
        discard(p->video, pictures, now_ns);
    if (sounds)
        discard(p->audio, sounds, now_ns);
}

static gboolean fits(const Track *t, gsize size)
{
    return t->pending->len < TK_CMAF_SAMPLES_MAX &&
           t->bytes->len + size <= RELAY_PACKAGER_PENDING_BYTES_MAX;
}

// Whether what is pending lasts for a chunk, with the next sample's beginning nearer to it than
// this one's end.
static gboolean chunk_is_full(const RelayPackager *p, const Track *t)
{
    if (!t->pending->len)
        return FALSE;
    gint64 length = t->last + t->usual - pending_at(t, 0)->decode;
    return length >= from_ns(t, p->chunk_ns) - t->usual / 2;
}

static void append(Track *t, const RelaySample *sample, gint64 decode, gint64 now_ns)
{
    gint64 offset = MAX(sample->presentation, 0) - decode;
    Pending s = {.decode = decode,
                 .captured_wall_ns = sample->captured_wall_ns,
                 .cts_offset = (gint32)CLAMP(offset, G_MININT32, G_MAXINT32),
                 .size = (guint32)sample->size,
                 .key = sample->key};
    if (!t->pending->len)
        t->since_ns = now_ns;
    g_array_append_val(t->pending, s);
    g_byte_array_append(t->bytes, sample->data, (guint)sample->size);
    t->last = decode;
}

// One long step is a pause; only two in a row change what is expected.
static void learn_step(Track *t, gint64 step)
{
    if (step < t->cmaf.timescale / RELAY_VIDEO_FPS_MAX || step > from_ns(t, FRAME_NS_MAX))
        return;
    t->usual = MIN(step, t->step);
    t->step = step;
}

static gboolean sound_is_early(const RelayPackager *p, gint64 decode)
{
    return to_ns(p->audio, decode + p->audio->usual) <= p->start_ns;
}

static void start_with_video(RelayPackager *p, gint64 decode, gint64 now_ns)
{
    p->waiting = FALSE;
    p->start_ns = to_ns(p->video, decode);
    guint n = 0;
    while (p->audio && n < p->audio->pending->len &&
           sound_is_early(p, pending_at(p->audio, n)->decode))
        n++;
    if (n) {
        discard(p->audio, n, now_ns);
        p->audio->dropped += n;
    }
}

// Whether it would be decoded before media time begins. The first picture is a key frame that is
// not.
static gboolean video_is_early(const Track *t, const RelaySample *sample)
{
    gint64 decode = sample->presentation - relay_decode_lead(&t->decode, t->usual);
    return to_ns(t, decode) < -EARLY_NS;
}

static void push_video(RelayPackager *p, const RelaySample *sample, gint64 now_ns)
{
    Track *t = p->video;
    if ((p->waiting && !sample->key) || (!t->config && !sample->config)) {
        t->dropped++;
        return;
    }
    if (sample->config && !(t->config && g_bytes_equal(t->config, sample->config))) {
        if (t->pending->len)
            close_chunk(p, NO_NEXT, now_ns);
        take_video_config(p, sample->config);
    }
    if (t->last < 0 && (!sample->key || video_is_early(t, sample))) {
        t->dropped++;
        return;
    }
    gint64 decode = relay_decode_next(&t->decode, sample->presentation, sample->key, t->usual,
                                      MAX(t->last + 1, 0));
    if (t->pending->len && (sample->key || !fits(t, sample->size)))
        close_chunk(p, decode, now_ns);
    if (p->waiting)
        start_with_video(p, decode, now_ns);
    else
        learn_step(t, decode - t->last);
    if (p->init_needed)
        give_init(p, now_ns);
    p->video_ns = now_ns;
    append(t, sample, decode, now_ns);
    if (chunk_is_full(p, t))
        close_chunk(p, NO_NEXT, now_ns);
}

static void push_audio(RelayPackager *p, const RelaySample *sample, gint64 now_ns)
{
    Track *t = p->audio;
    gint64 decode = sample->presentation;
    gboolean again = t->last >= 0 && decode < t->last + t->usual / 2;
    if (decode < 0 || again || (!p->waiting && sound_is_early(p, decode))) {
        t->dropped++;
        return;
    }
    if (!fits(t, sample->size) && !p->waiting)
        close_chunk(p, NO_NEXT, now_ns);
    if (!fits(t, sample->size)) {
        t->dropped++;
        return;
    }
    p->audio_ns = now_ns;
    append(t, sample, decode, now_ns);
    if (sound_leads(p) && chunk_is_full(p, t))
        close_chunk(p, NO_NEXT, now_ns);
}

void relay_packager_start(RelayPackager *p, const RelayTrackFormat *formats, gint64 now_ns)
{
    p->waiting = p->video != NULL;
    p->begun_ns = p->video_ns = p->audio_ns = now_ns;
    p->start_ns = 0;
    if (p->video)
        p->video->decode.started = FALSE;
    for (guint i = 0; i < p->count; i++) {
        if (formats[i].kind == TK_TRACK_AUDIO)
            take_audio_config(p, &formats[i].aac);
    }
    if (!p->waiting && p->init_needed)
        give_init(p, now_ns);
}

void relay_packager_go_on(RelayPackager *p)
{
    p->waiting = FALSE;
    p->video->decode.started = TRUE;
}

void relay_packager_push(RelayPackager *p, const RelaySample *sample, gint64 now_ns)
{
    if (&p->tracks[sample->track] == p->video)
        push_video(p, sample, now_ns);
    else
        push_audio(p, sample, now_ns);
}

void relay_packager_tick(RelayPackager *p, gint64 now_ns)
{
    if (p->waiting && p->audio && now_ns - p->begun_ns >= RELAY_PACKAGER_VIDEO_START_NS)
        p->waiting = FALSE;
    const Track *leader = sound_leads(p) ? p->audio : p->video;
    if (leader && leader->pending->len &&
        now_ns - leader->since_ns >= p->chunk_ns + RELAY_PACKAGER_WAIT_NS)
        close_chunk(p, NO_NEXT, now_ns);
}

void relay_packager_flush(RelayPackager *p, gint64 now_ns)
{
    if (p->waiting && p->audio) {
        p->audio->dropped += p->audio->pending->len;
        discard(p->audio, p->audio->pending->len, now_ns);
    }
    close_chunk(p, NO_NEXT, now_ns); // pictures and the sound beside them,
    close_chunk(p, NO_NEXT, now_ns); // and the sound after them
}

gint64 relay_packager_end_ns(const RelayPackager *p)
{
    gint64 end_ns = 0;
    for (guint i = 0; i < p->count; i++)
        end_ns = MAX(end_ns, to_ns(&p->tracks[i], p->tracks[i].end));
    return end_ns;
}

const RelayStreamFormat *relay_packager_format(const RelayPackager *p)
{
    return p->has_format ? &p->format : NULL;
}

guint64 relay_packager_chunks(const RelayPackager *p)
{
    return p->sequence;
}

guint64 relay_packager_dropped(const RelayPackager *p, guint track)
{
    return p->tracks[track].dropped;
}
