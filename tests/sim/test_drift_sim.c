// SPDX-License-Identifier: MIT
// Hours of a lesson (LESSON_S) whose clocks run apart: made-up RTP by a made-up clock through the
// relay's real input, its chunks through the recorder's real writer to the disk and back.
#include "common/base/clock.h"
#include "recorder/archive/lesson.h"
#include "recorder/archive/patch.h"
#include "recorder/archive/writer.h"
#include "tests/unit/check.h"
#include "tests/unit/relay/sender.h"

#include <glib/gstdio.h>

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define STEP_NS (10 * TK_NS_PER_MS)
#define TICK_EVERY 2 // steps
#define FPS 10
#define KEY_EVERY (2 * FPS)
#define REPORT_NS (5 * TK_NS_PER_S) // as a sender may wait at most
#define SOUND_HZ 48000.0
// A frame's number shows in its size.
#define PICTURE_BYTES(n) (60 + (n) % 100)
#define SOUND_BYTES(n) (20 + (n) % 200)
#define IN_STEP_S 0.040

typedef struct {
    double sender; // its clock over ours, ppm
    double sound;  // its sound card's over its clock, ppm
} Drift;

typedef struct {
    const Drift *drift;
    RelayInput *input;
    Sender senders[2];
    gint64 frames[2];
    // The archive
    char *folder;
    RecWriter *writer;
    RecFile *file;
    GMainLoop *loop;
    TkCmafInit init;
    guint64 offset;
} Lesson;

// When a frame was captured, in seconds by the sender's clock.
static double captured_s(const Drift *drift, guint track, gint64 number)
{
    if (track == 0)
        return (double)number / FPS;
    return (double)number * 1024 / (SOUND_HZ * (1 + drift->sound / 1e6));
}

static void refused(void *user)
{
    fail_msg("the disk refused");
}

static void written(void *user)
{
    g_main_loop_quit(user);
}

static void archive(Lesson *l, const RelayUnit *unit, RecEntry entry)
{
    g_autoptr(GBytes) piece = g_bytes_new(unit->data, unit->bytes);
    entry.offset = l->offset;
    while (!rec_file_append(l->file, piece, &entry)) {
        rec_writer_after(l->writer, written, l->loop);
        g_main_loop_run(l->loop);
    }
    l->offset += unit->bytes;
}

static void on_packet(void *user, guint track, RelayUnit *packet)
{
    relay_unit_unref(packet);
}

static void on_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    Lesson *l = user;
    tk_cmaf_init_clear(&l->init);
    assert_true(tk_cmaf_init_parse(init->data, init->bytes, &l->init));
    archive(l, init,
            (RecEntry){.flags = REC_ENTRY_INIT,
                       .bytes = init->bytes,
                       .sequence = (guint32)init->number,
                       .crc = rec_crc32(init->data, init->bytes)});
    relay_unit_unref(init);
}

static void on_chunk(void *user, RelayUnit *unit)
{
    Lesson *l = user;
    TkCmafChunk chunk;
    RecEntry entry;
    gsize bytes;
    assert_int_equal(tk_cmaf_piece(unit->data, unit->bytes, &chunk, &bytes), TK_CMAF_CHUNK);
    assert_true(rec_entry_from_chunk(&l->init, &chunk, unit->data, 0, &entry));
    archive(l, unit, entry);
    relay_unit_unref(unit);
}

static void send_due(Lesson *l, guint track, gint64 now_ns, double sender_s)
{
    for (gint64 n = l->frames[track]; captured_s(l->drift, track, n) <= sender_s; n++) {
        gboolean key = track == 1 || n % KEY_EVERY == 0;
        gint64 ticks = track ? n * 1024 : n * 90000 / FPS;
        g_autoptr(GPtrArray) packets = sender_frame(
            &l->senders[track], ticks, key, (gsize)(track ? SOUND_BYTES(n) : PICTURE_BYTES(n)));
        for (guint i = 0; i < packets->len; i++) {
            gsize size;
            const guint8 *data = g_bytes_get_data(packets->pdata[i], &size);
            relay_input_rtp(l->input, track, data, size, now_ns, EPOCH_NS + now_ns);
        }
        l->frames[track] = n + 1;
    }
}

static void report(Lesson *l, gint64 now_ns, double sender_s)
{
    double sound_hz = SOUND_HZ * (1 + l->drift->sound / 1e6);
    for (guint t = 0; t < 2; t++) {
        g_autoptr(GByteArray) sr =
            sender_report(&l->senders[t], (gint64)(sender_s * (t ? sound_hz : 90000.0)),
                          EPOCH_NS + (gint64)(sender_s * 1e9));
        relay_input_rtcp(l->input, t, sr->data, sr->len, now_ns, EPOCH_NS + now_ns);
    }
}

static void lesson_send(Lesson *l)
{
    RelayTrackFormat formats[2];
    sender_formats(&formats[0], &formats[1]);
    for (guint t = 0; t < 2; t++)
        l->senders[t] = (Sender){.kind = t ? TK_TRACK_AUDIO : TK_TRACK_VIDEO,
                                 .ssrc = 100 + t,
                                 .timestamp_base = 0xfff00000u};
    assert_true(relay_input_begin(l->input, formats, 2, TRUE, 0, EPOCH_NS));
    gint64 end_ns = LESSON_S * TK_NS_PER_S;
    for (gint64 step = 0, now_ns = 0; now_ns < end_ns; step++, now_ns = step * STEP_NS) {
        double sender_s = (double)now_ns / 1e9 * (1 + l->drift->sender / 1e6);
        send_due(l, 0, now_ns, sender_s);
        send_due(l, 1, now_ns, sender_s);
        if (now_ns % REPORT_NS == 0)
            report(l, now_ns, sender_s);
        if (step % TICK_EVERY == 0)
            relay_input_tick(l->input, now_ns, EPOCH_NS + now_ns);
    }
    relay_input_end(l->input, end_ns);
}

static const RecSample *sample_at(const GArray *samples, guint i)
{
    return &g_array_index(samples, RecSample, i);
}

// The number of a track's first sample; all that were sent since follow it, in order.
static gint64 first_number(const Lesson *l, guint track, const GArray *samples)
{
    gint64 first = 0;
    while (sample_at(samples, 0)->size !=
           (guint32)(track ? SOUND_BYTES(first) : PICTURE_BYTES(first) + 4))
        first++;
    assert_int_equal(first + samples->len, l->frames[track]);
    for (guint i = 0; i < samples->len; i++)
        assert_int_equal(sample_at(samples, i)->size,
                         track ? SOUND_BYTES(first + i) : PICTURE_BYTES(first + i) + 4);
    return first;
}

static void check_in_step(const Lesson *l, const GArray *pictures, const GArray *sounds)
{
    gint64 picture = first_number(l, 0, pictures), sound = first_number(l, 1, sounds);
    double worst_s = 0, off_s = 0, last_s = 0;
    guint at = 0;

    for (guint i = 0; i < sounds->len; i++) {
        double shown_s = (double)sample_at(sounds, i)->time / SOUND_HZ;
        while (at + 1 < pictures->len &&
               (double)sample_at(pictures, at + 1)->time / 90000 <= shown_s)
            at++;
        last_s = (double)sample_at(pictures, at)->time / 90000;
        off_s = shown_s - captured_s(l->drift, 1, sound + i) -
                (last_s - captured_s(l->drift, 0, picture + at));
        worst_s = MAX(worst_s, ABS(off_s));
    }
    // Pictures keep the rhythm of their sender's clock, to its end.
    for (guint i = 1; i < pictures->len; i++)
        assert_int_equal(sample_at(pictures, i)->time - sample_at(pictures, i - 1)->time,
                         90000 / FPS);
    print_message(
        "# sender %+.0f ppm, sound %+.0f ppm: after %.0f s of media sound is %+.1f ms off, "
        "%.1f ms at worst\n",
        l->drift->sender, l->drift->sound, last_s, off_s * 1e3, worst_s * 1e3);
    assert_true(last_s > LESSON_S * (1 - 0.001));
    assert_true(worst_s <= IN_STEP_S);
}

static void archive_check(const Lesson *l)
{
    g_autofree char *media_path = rec_stream_path(l->folder, "main", "mp4");
    g_autofree char *index_path = rec_stream_path(l->folder, "main", "index");
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_autoptr(GMappedFile) file = g_mapped_file_new(media_path, FALSE, &error);
    guint64 at = 0;

    assert_non_null(file);
    assert_true(rec_index_read(index_path, entries, &at, NULL, &error));
    RecTrail trail = {0};
    RecGap gap;
    for (guint i = 0; i < entries->len; i++)
        assert_false(rec_trail_next(&trail, &g_array_index(entries, RecEntry, i), &gap));
    g_autoptr(RecPatchMedia) media = rec_patch_read(
        (const guint8 *)g_mapped_file_get_contents(file), g_mapped_file_get_length(file), &error);
    assert_non_null(media);
    check_in_step(l, media->samples[TK_TRACK_VIDEO], media->samples[TK_TRACK_AUDIO]);
}

static void lesson_run(const Drift *drift)
{
    static const RelayInputSink sink = {
        .on_packet = on_packet, .on_init = on_init, .on_chunk = on_chunk};
    g_autoptr(GError) error = NULL;
    Lesson l = {.drift = drift,
                .folder = g_dir_make_tmp("tongke-drift-XXXXXX", &error),
                .writer = rec_writer_new(REC_WRITER_SYNC_MS_MAX),
                .loop = g_main_loop_new(NULL, FALSE)};
    assert_non_null(l.folder);
    l.file = rec_writer_open(l.writer, l.folder, "main", 0, refused, NULL, &error);
    assert_non_null(l.file);
    l.input = relay_input_new(EPOCH_NS, 1, &sink, &l);
    lesson_send(&l);
    relay_input_free(l.input);
    rec_file_close(l.file);
    rec_writer_free(l.writer);
    archive_check(&l);
    static const char *const suffixes[] = {"mp4", "index"};
    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *path = rec_stream_path(l.folder, "main", suffixes[i]);
        g_unlink(path);
    }
    g_rmdir(l.folder);
    g_free(l.folder);
    g_main_loop_unref(l.loop);
    tk_cmaf_init_clear(&l.init);
}

static void a_fast_sender_with_faster_sound(void **state)
{
    lesson_run(&(Drift){.sender = 500, .sound = 500});
}

static void a_slow_sender_with_slower_sound(void **state)
{
    lesson_run(&(Drift){.sender = -500, .sound = -500});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fast_sender_with_faster_sound),
        cmocka_unit_test(a_slow_sender_with_slower_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
