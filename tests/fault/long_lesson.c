// SPDX-License-Identifier: MIT
// Writes a recording of any length into a library's folder, faster than it would last: a minute of
// real encoders' chunks, again and again with later times, through the recorder's own writer.
//
//     tongke-long-lesson DATA MINUTES     prints the recording's id
#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "common/media/bytes.h"
#include "recorder/archive/state.h"
#include "recorder/archive/writer.h"
#include "recorder/library/head.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <string.h>

#define MINUTE_CHUNKS (60 * LESSON_CHUNKS_PER_S)
#define MINUTES_MAX (24 * 60)

static void u64_add(guint8 *at, guint64 more)
{
    guint64 value;
    memcpy(&value, at, sizeof value);
    value = GUINT64_FROM_BE(value) + more;
    value = GUINT64_TO_BE(value);
    memcpy(at, &value, sizeof value);
}

// The same chunk, `minute` minutes later.
static GBytes *chunk_later(GBytes *chunk, guint minute)
{
    static const guint32 timescales[] = {90000, 48000}; // of lesson_make's tracks
    gsize size;
    const guint8 *data = g_bytes_get_data(chunk, &size);
    guint8 *copy = g_memdup2(data, size);
    guint8 *mfhd = memmem(copy, size, "mfhd", 4), *mdat = memmem(copy, size, "mdat", 4);
    guint8 *at = copy;
    guint32 sequence;

    memcpy(&sequence, mfhd + 8, 4);
    sequence = GUINT32_FROM_BE(sequence) + minute * MINUTE_CHUNKS;
    sequence = GUINT32_TO_BE(sequence);
    memcpy(mfhd + 8, &sequence, 4);
    // prft: version and flags, track, the time of capture in NTP's form.
    u64_add(copy + 16, (guint64)minute * 60 << 32);
    for (guint i = 0; i < G_N_ELEMENTS(timescales); i++) {
        guint8 *tfdt = memmem(at, (gsize)(mdat - at), "tfdt", 4);
        if (!tfdt)
            break;
        u64_add(tfdt + 8, (guint64)minute * 60 * timescales[i]);
        at = tfdt + 8;
    }
    return g_bytes_new_take(copy, size);
}

typedef struct {
    RecWriter *writer;
    RecFile *file;
    RecLesson *lesson;
    RecStream *stream;
    TkCmafInit init;
    GMainLoop *loop;
    guint64 offset;
} Long;

static void written(void *user)
{
    g_main_loop_quit(user);
}

static void refused(void *user)
{
    g_error("the disk refused");
}

static void append(Long *all, GBytes *piece, RecEntry entry)
{
    entry.offset = all->offset;
    while (!rec_file_append(all->file, piece, &entry)) {
        rec_writer_after(all->writer, written, all->loop);
        g_main_loop_run(all->loop);
    }
    all->offset += entry.bytes;
    rec_lesson_add_entry(all->lesson, all->stream, &entry);
}

static void append_minute(Long *all, const LessonPieces *pieces, guint minute)
{
    for (guint i = 0; i < MINUTE_CHUNKS; i++) {
        g_autoptr(GBytes) piece = chunk_later(pieces->chunks->pdata[i], minute);
        gsize size, bytes;
        const guint8 *data = g_bytes_get_data(piece, &size);
        TkCmafChunk chunk;
        RecEntry entry;
        assert_int_equal(tk_cmaf_piece(data, size, &chunk, &bytes), TK_CMAF_CHUNK);
        assert_true(rec_entry_from_chunk(&all->init, &chunk, data, 0, &entry));
        append(all, piece, entry);
    }
}

static char *lesson_write(const char *data, guint minutes)
{
    g_autoptr(LessonPieces) pieces = lesson_make(60, 0, 1, 320);
    g_autoptr(GError) error = NULL;
    Long all = {.writer = rec_writer_new(1000), .loop = g_main_loop_new(NULL, FALSE)};
    char *id = tk_ulid_new(LESSON_WALL_NS);
    g_autofree char *folder = rec_folder_path(data, id);
    gsize size;
    const guint8 *init = g_bytes_get_data(pieces->init, &size);

    all.lesson = rec_lesson_new(id, "long");
    all.lesson->started_ns = LESSON_WALL_NS;
    all.lesson->ended_ns = LESSON_WALL_NS + minutes * 60 * TK_NS_PER_S;
    all.stream = rec_lesson_stream(all.lesson, "main", TRUE);
    all.stream->mime = g_strdup("video/mp4; codecs=\"avc1.42C00B,mp4a.40.2\"");
    all.stream->width = 320;
    all.stream->height = 96;
    assert_true(tk_cmaf_init_parse(init, size, &all.init));
    assert_true(rec_folder_make(folder, &error));
    all.file = rec_writer_open(all.writer, folder, "main", 0, refused, NULL, &error);
    assert_non_null(all.file);
    append(&all, pieces->init,
           (RecEntry){.flags = REC_ENTRY_INIT,
                      .bytes = (guint32)size,
                      .sequence = 1,
                      .crc = rec_crc32(init, size)});
    for (guint minute = 0; minute < minutes; minute++)
        append_minute(&all, pieces, minute);
    rec_file_close(all.file);
    rec_writer_free(all.writer);
    g_autoptr(GBytes) head = shelf_head_make(folder, "main", G_MAXUINT64, TRUE, &error);
    assert_non_null(head);
    rec_state_set(all.lesson, REC_STATE_CLOSING, "made");
    rec_state_set(all.lesson, REC_STATE_CLOSED, "made");
    assert_true(rec_lesson_save(all.lesson, folder, &error));
    tk_cmaf_init_clear(&all.init);
    rec_lesson_free(all.lesson);
    g_main_loop_unref(all.loop);
    return id;
}

int main(int argc, char **argv)
{
    guint64 minutes = 0;
    if (argc != 3 || !g_ascii_string_to_unsigned(argv[2], 10, 1, MINUTES_MAX, &minutes, NULL)) {
        g_printerr("usage: tongke-long-lesson DATA MINUTES\n");
        return 2;
    }
    g_autofree char *id = lesson_write(argv[1], (guint)minutes);
    g_print("%s\n", id);
    return 0;
}
