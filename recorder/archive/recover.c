// SPDX-License-Identifier: MIT
#include "recorder/archive/recover.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "recorder/archive/state.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

// Lines of the index's end whose CRC must be right before the rest is believed: more than what one
// second of a stream brings, the most that a power cut can have left half written.
#define CRC_CHECKED 64

void rec_recovered_clear(RecRecovered *recovered)
{
    g_clear_pointer(&recovered->entries, g_array_unref);
}

static gboolean entry_good(const RecEntry *entry, const guint8 *media, gsize size)
{
    return entry->offset <= size && entry->bytes <= size - entry->offset &&
           rec_crc32(media + entry->offset, entry->bytes) == entry->crc;
}

static guint64 entries_end(const GArray *entries)
{
    const RecEntry *last =
        entries->len ? &g_array_index(entries, RecEntry, entries->len - 1) : NULL;
    return last ? last->offset + last->bytes : 0;
}

// The initialisation segment that is valid behind the last entry.
static void init_find(const GArray *entries, const guint8 *media, TkCmafInit *init)
{
    for (guint i = entries->len; i > 0; i--) {
        const RecEntry *entry = &g_array_index(entries, RecEntry, i - 1);
        if (!(entry->flags & REC_ENTRY_INIT))
            continue;
        if (!tk_cmaf_init_parse(media + entry->offset, entry->bytes, init))
            memset(init, 0, sizeof *init);
        return;
    }
}

// Where the next piece could begin behind damage: a box type that pieces begin with.
static gsize piece_search(const guint8 *media, gsize size, gsize from)
{
    for (gsize at = from; at + 8 <= size; at++) {
        const guint8 *type = media + at + 4;
        if ((type[0] == 'p' && memcmp(type, "prft", 4) == 0) ||
            (type[0] == 'm' && memcmp(type, "moof", 4) == 0) ||
            (type[0] == 'f' && memcmp(type, "ftyp", 4) == 0)) {
            gsize bytes;
            TkCmafPiece piece = tk_cmaf_piece(media + at, size - at, NULL, &bytes);
            if (piece == TK_CMAF_INIT || piece == TK_CMAF_CHUNK)
                return at;
        }
    }
    return size;
}

// How much later than before a relay counts from that was started again between two chunks, which
// have their own times here: only the wall clock tells how long it was away. What a healing wrote
// has the index's times already, and the wall clock differs by its error alone.
static gint64 counted_anew(const RecEntry *before, const RecEntry *entry)
{
    gint64 later_ns = (entry->wall_ns - entry->media_ns) - (before->wall_ns - before->media_ns);
    gboolean anew = before->bytes && rec_entry_restarts(before, entry);
    return anew && ABS(later_ns) > REC_GAP_MIN_NS ? later_ns : 0;
}

// Reads the media from the last entry's end to `size`; gives where the last good piece ends.
static gsize media_walk(RecRecovered *recovered, const guint8 *media, gsize size)
{
    GArray *entries = recovered->entries;
    const RecEntry *last =
        entries->len ? &g_array_index(entries, RecEntry, entries->len - 1) : NULL;
    gsize at = last ? last->offset + last->bytes : 0, end = at;
    guint32 sequence = last ? last->sequence + !(last->flags & REC_ENTRY_INIT) : 1;
    gint64 media_ns = last ? rec_entry_end_ns(last) : 0;
    TkCmafInit init = {0};
    RecEntry before = {0}; // the chunk before, as its own bytes tell of it
    gint64 shift_ns = 0;

    init_find(entries, media, &init);
    for (guint i = entries->len; i > 0 && before.bytes == 0; i--) {
        before = g_array_index(entries, RecEntry, i - 1);
        if (before.flags & REC_ENTRY_INIT ||
            !rec_entry_shift(&init, &before, media + before.offset, &shift_ns))
            before.bytes = 0;
    }
    before.media_ns -= shift_ns;
    while (at < size) {
        TkCmafChunk chunk;
        gsize bytes = 0;
        RecEntry entry = {0};
        TkCmafPiece piece = tk_cmaf_piece(media + at, size - at, &chunk, &bytes);
        gboolean good = FALSE;

        if (piece == TK_CMAF_INIT && bytes <= REC_PIECE_BYTES_MAX) {
            TkCmafInit fresh = {0};
            good = tk_cmaf_init_parse(media + at, bytes, &fresh);
            if (good) {
                tk_cmaf_init_clear(&init);
                init = fresh;
                entry = (RecEntry){.flags = REC_ENTRY_INIT,
                                   .bytes = (guint32)bytes,
                                   .sequence = sequence,
                                   .media_ns = media_ns,
                                   .crc = rec_crc32(media + at, bytes)};
            }
        } else if (piece == TK_CMAF_CHUNK) {
            good = rec_entry_from_chunk(&init, &chunk, media + at, 0, &entry);
            if (good) {
                if (entry.flags & REC_ENTRY_HEALED)
                    entry.sequence = sequence - 1;
                shift_ns += counted_anew(&before, &entry);
                before = entry;
                entry.media_ns = MAX(entry.media_ns + shift_ns, 0);
                sequence = entry.sequence + 1;
                media_ns = rec_entry_end_ns(&entry);
            }
        }
        if (good) {
            entry.offset = at;
            g_array_append_val(entries, entry);
            recovered->found++;
            at += bytes;
            end = at;
        } else {
            at = piece_search(media, size, at + 1);
        }
    }
    tk_cmaf_init_clear(&init);
    return end;
}

// What the index says, as far as the media bears it out: `lines`, of which the first `whole` stand
// in order, and the others behind a damaged one. What lies between those that are believed had
// lines, too, and so was synced: it is read.
static void lines_take(RecRecovered *recovered, const GArray *lines, guint whole,
                       const guint8 *media, gsize size)
{
    const RecEntry *at = (const RecEntry *)(const void *)lines->data;

    while (whole > 0 &&
           (at[whole - 1].offset > size || at[whole - 1].bytes > size - at[whole - 1].offset)) {
        whole--;
    }
    for (guint i = 0; i < lines->len; i++) {
        guint64 end = entries_end(recovered->entries);
        gboolean believed = i + CRC_CHECKED < whole || entry_good(&at[i], media, size);
        if (!believed || at[i].offset < end) {
            recovered->dropped++;
            continue;
        }
        if (at[i].offset > end)
            media_walk(recovered, media, at[i].offset);
        g_array_append_val(recovered->entries, at[i]);
    }
}

// What was read may stand in memory only; the index must not speak of it before the disk has it.
static gboolean media_settle(const char *path, guint64 cut_bytes, guint64 bytes, GError **error)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    gboolean ok = fd >= 0 && (cut_bytes == 0 || ftruncate(fd, (off_t)bytes) == 0) && fsync(fd) == 0;
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot %s %s: %s",
                    cut_bytes ? "cut the torn tail of" : "sync", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static gboolean index_write(const char *path, const GArray *entries, GError **error)
{
    g_autoptr(GString) text = g_string_new(REC_INDEX_HEADER);
    RecCounting counting;
    if (rec_index_counting(path, entries_end(entries), &counting))
        rec_counting_format(&counting, text);
    for (guint i = 0; i < entries->len; i++)
        rec_entry_format(&g_array_index(entries, RecEntry, i), text);
    return rec_file_replace(path, text->str, text->len, error);
}

// After a power cut what was not synced may be there with holes that no box length tells of. More
// than could have waited for its sync is no such tail: then the index has lost lines.
static gboolean tail_unsure(const char *index_path, guint64 tail_bytes)
{
    g_autofree char *boot = rec_index_boot(index_path);
    return boot && strcmp(boot, rec_boot_id()) != 0 && tail_bytes <= REC_UNSYNCED_BYTES_MAX;
}

// Of a tail that is not sure, the pieces from entry `from` on, those stay whose lines stood in the
// index's torn end: they were synced before a byte of their lines was written.
static void tail_trim(RecRecovered *recovered, guint from, guint64 torn_bytes)
{
    g_autoptr(GString) lines = g_string_new(NULL);
    GArray *entries = recovered->entries;
    guint keep = from;

    recovered->found -= entries->len - from;
    for (; keep < entries->len && lines->len < torn_bytes; keep++)
        rec_entry_format(&g_array_index(entries, RecEntry, keep), lines);
    g_array_set_size(entries, keep);
    recovered->found += keep - from;
    recovered->media_bytes = entries_end(entries);
}

gboolean rec_recover_stream(const char *folder, const char *stream, RecRecovered *ret,
                            GError **error)
{
    g_autofree char *media_path = rec_stream_path(folder, stream, "mp4");
    g_autofree char *index_path = rec_stream_path(folder, stream, "index");
    g_auto(RecRecovered) recovered = {.entries = g_array_new(FALSE, FALSE, sizeof(RecEntry))};
    g_autoptr(GArray) lines = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    gboolean clean = FALSE;
    guint64 at = 0, torn_bytes = 0;
    guint whole = 0;

    if (!g_file_test(media_path, G_FILE_TEST_EXISTS)) {
        *ret = recovered;
        recovered.entries = NULL;
        return TRUE;
    }
    g_autoptr(GMappedFile) file = g_mapped_file_new(media_path, FALSE, error);
    if (!file)
        return FALSE;
    const guint8 *media = (const guint8 *)g_mapped_file_get_contents(file);
    gsize size = g_mapped_file_get_length(file);
    if (g_file_test(index_path, G_FILE_TEST_EXISTS)) {
        if (!rec_index_read(index_path, lines, &at, &clean, error))
            return FALSE;
        whole = lines->len;
        if (!rec_index_read_rest(index_path, at, lines, &torn_bytes, error))
            return FALSE;
    }
    lines_take(&recovered, lines, whole, media, size);
    guint known = recovered.entries->len;
    gboolean unsure = tail_unsure(index_path, size - entries_end(recovered.entries));
    recovered.media_bytes = media_walk(&recovered, media, size);
    if (unsure)
        tail_trim(&recovered, known, torn_bytes);
    recovered.cut_bytes = size - recovered.media_bytes;
    g_clear_pointer(&file, g_mapped_file_unref);

    gboolean changed = !clean || at == 0 || recovered.found || recovered.dropped;
    if ((recovered.cut_bytes || changed) &&
        !media_settle(media_path, recovered.cut_bytes, recovered.media_bytes, error))
        return FALSE;
    if (changed && !index_write(index_path, recovered.entries, error))
        return FALSE;
    *ret = recovered;
    recovered.entries = NULL;
    return TRUE;
}

static gint name_compare(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **rec_recover_streams(const char *folder)
{
    GPtrArray *names = g_ptr_array_new();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *file;
    while (dir && (file = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(file, ".mp4"))
            continue;
        g_autofree char *name = g_strndup(file, strlen(file) - 4);
        if (tk_name_stream_valid(name))
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
    g_ptr_array_sort(names, name_compare);
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

static gboolean index_missing(const char *folder, char *const *streams)
{
    for (; *streams; streams++) {
        g_autofree char *path = rec_stream_path(folder, *streams, "index");
        if (!g_file_test(path, G_FILE_TEST_EXISTS))
            return TRUE;
    }
    return FALSE;
}

// A lesson of which only the folder is left.
static RecLesson *lesson_bare(const char *folder, const char *id)
{
    g_autofree char *path = g_build_filename(folder, REC_LESSON_FILE, NULL);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    if (g_file_test(path, G_FILE_TEST_EXISTS) && g_rename(path, aside) != 0)
        tk_warning("cannot put %s aside: %s", path, g_strerror(errno));
    RecLesson *lesson = rec_lesson_new(id, id);
    rec_state_set(lesson, REC_STATE_SALVAGED, "made anew from its media");
    rec_state_set(lesson, REC_STATE_CLOSED, "nobody can tell whether it goes on");
    lesson->started_ns = tk_ulid_wall_ns(id);
    return lesson;
}

static gboolean stream_count(RecLesson *lesson, const char *folder, const char *name,
                             GError **error)
{
    g_auto(RecRecovered) recovered = {0};
    RecStream *stream = rec_lesson_stream(lesson, name, TRUE);

    if (!stream)
        return TRUE;
    if (!rec_recover_stream(folder, name, &recovered, error))
        return FALSE;
    if (recovered.cut_bytes || recovered.found || recovered.dropped)
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = lesson->id, .stream = name},
               "salvaged: %u pieces found that the index did not know, %u lines dropped, "
               "%" G_GUINT64_FORMAT " bytes of a torn tail cut off",
               recovered.found, recovered.dropped, recovered.cut_bytes);
    rec_lesson_reset_stream(lesson, stream);
    for (guint i = 0; i < recovered.entries->len; i++)
        rec_lesson_add_entry(lesson, stream, &g_array_index(recovered.entries, RecEntry, i));
    stream->size_bytes = recovered.media_bytes;
    return TRUE;
}

// Whatever else stands there is somebody's: it is left alone, and said.
static void strangers_report(const char *folder, const char *id)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        if (!rec_file_is_ours(name))
            tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id},
                   "%s/%s is no file of a recording; it is left alone", folder, name);
}

RecLesson *rec_recover_lesson(const char *folder, const char *id, gboolean deep,
                              gboolean *ret_changed, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &why);
    g_auto(GStrv) streams = rec_recover_streams(folder);
    gboolean damaged = FALSE;

    if (lesson && strcmp(lesson->id, id) != 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s holds the recording of %s", folder,
                    lesson->id);
        return NULL;
    }
    if (!lesson && !streams[0]) {
        g_propagate_prefixed_error(error, g_steal_pointer(&why), "no recording: ");
        return NULL;
    }
    if (!lesson) {
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id},
               "%s; the recording is made anew from its media, without title and teacher",
               why->message);
        lesson = lesson_bare(folder, id);
        damaged = TRUE;
    }
    *ret_changed =
        damaged || deep || lesson->state != REC_STATE_CLOSED || index_missing(folder, streams);
    for (char **name = streams; *name && *ret_changed; name++)
        if (!stream_count(lesson, folder, *name, error))
            return NULL;
    if (*ret_changed)
        strangers_report(folder, id);
    if (lesson->state != REC_STATE_CLOSED)
        rec_state_set(lesson, REC_STATE_SALVAGED, "an earlier run left it open");
    return g_steal_pointer(&lesson);
}
