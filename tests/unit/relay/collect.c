// SPDX-License-Identifier: MIT
#include "tests/unit/relay/collect.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "common/media/rtp.h"

static void on_packet(void *user, guint track, RelayUnit *packet)
{
    Collect *c = user;
    RelayTrackIdentity identity = relay_input_identity(c->input, track);
    TkRtp rtp;
    g_assert_true(tk_rtp_parse(packet->data, packet->bytes, &rtp));
    g_assert_cmpuint(rtp.ssrc, ==, identity.ssrc);
    g_assert_cmpuint(rtp.payload_type, ==, identity.payload_type);
    g_assert_cmpuint(rtp.sequence, ==, packet->number & 0xffff);
    g_assert_cmpuint(rtp.timestamp, ==, packet->rtp_timestamp);
    g_assert_cmpint(packet->refs, ==, 2); // this one and the input's own
    g_assert_true(g_hash_table_add(c->numbers[track], GSIZE_TO_POINTER(packet->number)));
    g_ptr_array_add(c->packets[track], packet);
}

static void on_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    Collect *c = user;
    TkCmafInit parsed = {0};
    g_assert_true(tk_cmaf_init_parse(init->data, init->bytes, &parsed));
    g_assert_cmpuint(parsed.tracks_count, ==, !!format->has_video + !!format->has_audio);
    for (guint i = 0; i < parsed.tracks_count; i++)
        c->timescale[parsed.tracks[i].track_id - 1] = parsed.tracks[i].timescale;
    tk_cmaf_init_clear(&parsed);
    g_assert_true(init->flags & RELAY_UNIT_INIT);
    g_assert_cmpuint(init->number, ==, c->chunks + 1);
    c->inits++;
    c->format = *format;
    g_ptr_array_add(c->pieces, init);
}

TkCmafChunk collect_parse(const RelayUnit *chunk)
{
    TkCmafChunk parsed;
    gsize bytes;
    g_assert_cmpint(tk_cmaf_piece(chunk->data, chunk->bytes, &parsed, &bytes), ==, TK_CMAF_CHUNK);
    g_assert_cmpuint(bytes, ==, chunk->bytes);
    return parsed;
}

static void check_run(Collect *c, const TkCmafRunInfo *run)
{
    gint64 *last = &c->last_decode[run->track_id - 1], decode = (gint64)run->decode_time;
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        g_assert_cmpint(decode, >, *last);
        *last = decode;
        decode += at.sample.duration;
    }
}

static void on_chunk(void *user, RelayUnit *chunk)
{
    Collect *c = user;
    g_assert_cmpuint(c->inits, >, 0);
    TkCmafChunk parsed = collect_parse(chunk);
    g_assert_cmpuint(parsed.sequence, ==, ++c->chunks);
    g_assert_cmpuint(chunk->number, ==, parsed.sequence);
    for (guint i = 0; i < parsed.runs_count; i++)
        check_run(c, &parsed.runs[i]);
    g_ptr_array_add(c->pieces, chunk);
}

Collect *collect_new(gint64 epoch_wall_ns, guint64 seed)
{
    Collect *c = g_new0(Collect, 1);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        c->packets[i] = g_ptr_array_new_with_free_func((GDestroyNotify)relay_unit_unref);
        c->numbers[i] = g_hash_table_new(NULL, NULL);
        c->last_decode[i] = -1;
    }
    c->pieces = g_ptr_array_new_with_free_func((GDestroyNotify)relay_unit_unref);
    RelayInputSink sink = {on_packet, on_init, on_chunk};
    c->input = relay_input_new(epoch_wall_ns, seed, &sink, c);
    return c;
}

void collect_free(Collect *c)
{
    if (!c)
        return;
    relay_input_free(c->input);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        g_ptr_array_unref(c->packets[i]);
        g_hash_table_unref(c->numbers[i]);
    }
    g_ptr_array_unref(c->pieces);
    g_free(c);
}

static void add_samples(GArray *samples, const RelayUnit *chunk, const TkCmafRunInfo *run)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    gint64 decode = (gint64)run->decode_time;
    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        CollectSample s = {.decode = decode,
                           .presentation = decode + at.sample.cts_offset,
                           .duration = at.sample.duration,
                           .size = at.sample.size,
                           .key = at.sample.key,
                           .chunk = chunk->number};
        g_array_append_val(samples, s);
        decode += at.sample.duration;
    }
}

GArray *collect_samples(const Collect *c, guint32 track_id)
{
    GArray *samples = g_array_new(FALSE, FALSE, sizeof(CollectSample));
    for (guint i = 0; i < c->pieces->len; i++) {
        const RelayUnit *unit = c->pieces->pdata[i];
        if (unit->flags & RELAY_UNIT_INIT)
            continue;
        TkCmafChunk parsed = collect_parse(unit);
        for (guint k = 0; k < parsed.runs_count; k++) {
            if (parsed.runs[k].track_id == track_id)
                add_samples(samples, unit, &parsed.runs[k]);
        }
    }
    return samples;
}

const RelayUnit *collect_chunk(const Collect *c, guint index)
{
    for (guint i = 0; i < c->pieces->len; i++) {
        const RelayUnit *unit = c->pieces->pdata[i];
        if (!(unit->flags & RELAY_UNIT_INIT) && index-- == 0)
            return unit;
    }
    return NULL;
}

char *collect_write(const Collect *c)
{
    char *path = NULL;
    gint fd = g_file_open_tmp("tongke-XXXXXX.mp4", &path, NULL);
    g_assert_cmpint(fd, >=, 0);
    for (guint i = 0; i < c->pieces->len; i++) {
        const RelayUnit *unit = c->pieces->pdata[i];
        g_assert_cmpint(write(fd, unit->data, unit->bytes), ==, unit->bytes);
    }
    close(fd);
    return path;
}

const CollectSample *collect_sample(const GArray *samples, guint index)
{
    return &g_array_index(samples, CollectSample, index);
}

RelayInputStats collect_stats(const Collect *c, guint track)
{
    RelayInputStats stats;
    relay_input_stats(c->input, track, &stats);
    return stats;
}
