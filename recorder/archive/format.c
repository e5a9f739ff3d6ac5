// SPDX-License-Identifier: MIT
#include "recorder/archive/format.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// No lesson lasts longer than ten years; larger times come from damage or malice.
#define MEDIA_S_MAX (10 * 366 * 86400ull)
#define INDEX_LINE_MAX 256
#define BOOT_ID_BYTES 36 // a UUID

guint32 rec_crc32(const guint8 *data, gsize size)
{
    static guint32 table[256];
    static gsize ready;
    if (g_once_init_enter(&ready)) {
        for (guint32 i = 0; i < 256; i++) {
            guint32 c = i;
            for (int k = 0; k < 8; k++)
                c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
            table[i] = c;
        }
        g_once_init_leave(&ready, 1);
    }
    guint32 crc = 0xFFFFFFFFu;
    for (gsize i = 0; i < size; i++)
        crc = table[(crc ^ data[i]) & 0xFF] ^ (crc >> 8);
    return crc ^ 0xFFFFFFFFu;
}

void rec_entry_format(const RecEntry *entry, GString *out)
{
    gboolean key = entry->flags & REC_ENTRY_KEY, healed = entry->flags & REC_ENTRY_HEALED;
    const char *flags = entry->flags & REC_ENTRY_INIT ? "i"
                        : healed                      ? (key ? "H" : "h")
                        : key                         ? "k"
                                                      : "-";
    const char *sound = entry->flags & REC_ENTRY_SOUND         ? "s"
                        : entry->flags & REC_ENTRY_SOUND_FIRST ? "f"
                                                               : "";
    g_string_append_printf(out,
                           "%u %" G_GUINT64_FORMAT " %u %s%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           " %" G_GINT64_FORMAT " %08x\n",
                           entry->sequence, entry->offset, entry->bytes, flags, sound,
                           entry->media_ns, entry->duration_ns, entry->wall_ns, entry->crc);
}

// The next number of `*at`, which must be followed by a space or the end.
static gboolean number_next(char **at, guint base, guint64 max, guint64 *ret)
{
    char *end;
    if (!g_ascii_isxdigit(**at))
        return FALSE;
    errno = 0;
    guint64 value = g_ascii_strtoull(*at, &end, base);
    if (errno || end == *at || value > max || (*end != ' ' && *end != '\0'))
        return FALSE;
    *at = *end ? end + 1 : end;
    *ret = value;
    return TRUE;
}

// The flags at `*at`, which moves behind them and a space.
static gboolean flags_read(char **at, guint32 *ret)
{
    static const struct {
        char letter;
        guint32 flags;
    } kinds[] = {{'-', 0},
                 {'k', REC_ENTRY_KEY},
                 {'h', REC_ENTRY_HEALED},
                 {'H', REC_ENTRY_HEALED | REC_ENTRY_KEY},
                 {'i', REC_ENTRY_INIT}};
    guint kind = 0;

    while (kind < G_N_ELEMENTS(kinds) && kinds[kind].letter != **at)
        kind++;
    if (kind == G_N_ELEMENTS(kinds))
        return FALSE;
    *ret = kinds[kind].flags;
    (*at)++;
    if (**at == 's' || **at == 'f')
        *ret |= *(*at)++ == 's' ? REC_ENTRY_SOUND : REC_ENTRY_SOUND_FIRST;
    return *(*at)++ == ' ';
}

gboolean rec_entry_parse(const char *line, gsize length, RecEntry *ret)
{
    char text[INDEX_LINE_MAX];
    guint64 sequence, offset, bytes, media, duration, wall, crc;
    RecEntry entry = {0};

    if (length >= sizeof text || memchr(line, '\0', length))
        return FALSE;
    memcpy(text, line, length);
    text[length] = '\0';
    char *at = text;
    if (!number_next(&at, 10, G_MAXUINT32, &sequence) ||
        !number_next(&at, 10, G_MAXINT64, &offset) ||
        !number_next(&at, 10, REC_PIECE_BYTES_MAX, &bytes) || !flags_read(&at, &entry.flags) ||
        !number_next(&at, 10, G_MAXINT64 / 4, &media) ||
        !number_next(&at, 10, G_MAXINT64 / 4, &duration) ||
        !number_next(&at, 10, G_MAXINT64, &wall) || strlen(at) != 8 ||
        !number_next(&at, 16, G_MAXUINT32, &crc) || *at || bytes == 0)
        return FALSE;
    entry.sequence = (guint32)sequence;
    entry.offset = offset;
    entry.bytes = (guint32)bytes;
    entry.media_ns = (gint64)media;
    entry.duration_ns = (gint64)duration;
    entry.wall_ns = (gint64)wall;
    entry.crc = (guint32)crc;
    *ret = entry;
    return TRUE;
}

static gboolean ticks_to_ns(guint64 ticks, guint32 timescale, gint64 *ret_ns)
{
    if (timescale == 0 || ticks / timescale > MEDIA_S_MAX)
        return FALSE;
    *ret_ns = (gint64)(ticks / timescale) * TK_NS_PER_S +
              (gint64)(ticks % timescale * (guint64)TK_NS_PER_S / timescale);
    return TRUE;
}

static const TkCmafTrack *track_find(const TkCmafInit *init, guint32 track_id)
{
    for (guint i = 0; i < init->tracks_count; i++)
        if (init->tracks[i].track_id == track_id)
            return &init->tracks[i];
    return NULL;
}

// What the sound beside pictures, or without them, tells of those that are missing.
static guint32 sound_flags(const TkCmafInit *init, const TkCmafChunk *chunk, gboolean has_video)
{
    gint64 start_ns[2] = {-1, -1}; // by TkTrackKind
    for (guint i = 0; i < chunk->runs_count; i++) {
        const TkCmafTrack *track = track_find(init, chunk->runs[i].track_id);
        if (!ticks_to_ns(chunk->runs[i].decode_time, track->timescale, &start_ns[track->kind]))
            return 0;
    }
    gint64 pictures_ns = start_ns[TK_TRACK_VIDEO], sound_ns = start_ns[TK_TRACK_AUDIO];
    if (pictures_ns < 0)
        return has_video ? REC_ENTRY_SOUND : 0;
    return sound_ns >= 0 && pictures_ns - sound_ns > REC_SOUND_FIRST_NS ? REC_ENTRY_SOUND_FIRST : 0;
}

gboolean rec_entry_from_chunk(const TkCmafInit *init, const TkCmafChunk *chunk, const guint8 *data,
                              gint64 shift_ns, RecEntry *ret)
{
    gboolean has_video = FALSE, key = FALSE;
    const TkCmafRunInfo *first = NULL;
    const TkCmafTrack *first_track = NULL;
    gint64 media_ns, duration_ns;

    for (guint i = 0; i < init->tracks_count; i++)
        has_video |= init->tracks[i].kind == TK_TRACK_VIDEO;
    for (guint i = 0; i < chunk->runs_count; i++) {
        const TkCmafRunInfo *run = &chunk->runs[i];
        const TkCmafTrack *track = track_find(init, run->track_id);
        if (!track)
            return FALSE;
        if (track->kind == TK_TRACK_VIDEO)
            key = run->starts_key;
        if (!first || track->kind == TK_TRACK_VIDEO) {
            first = run;
            first_track = track;
        }
    }
    if (!first || chunk->bytes > REC_PIECE_BYTES_MAX ||
        !ticks_to_ns(first->decode_time, first_track->timescale, &media_ns) ||
        !ticks_to_ns(first->duration, first_track->timescale, &duration_ns))
        return FALSE;
    *ret = (RecEntry){
        .media_ns = media_ns + shift_ns,
        .duration_ns = duration_ns,
        .wall_ns = chunk->ntp ? tk_clock_wall_from_ntp(chunk->ntp) : 0,
        .sequence = chunk->sequence,
        .bytes = (guint32)chunk->bytes,
        .flags = (!has_video || key ? REC_ENTRY_KEY : 0u) |
                 (chunk->sequence == 0 ? REC_ENTRY_HEALED : 0u) |
                 sound_flags(init, chunk, has_video),
        .crc = rec_crc32(data, chunk->bytes),
    };
    ret->wall_ns = MAX(ret->wall_ns, 0);
    return ret->media_ns >= 0;
}

gboolean rec_entry_shift(const TkCmafInit *init, const RecEntry *entry, const guint8 *data,
                         gint64 *ret_shift_ns)
{
    TkCmafChunk chunk;
    RecEntry own;
    gsize bytes;
    if (tk_cmaf_piece(data, entry->bytes, &chunk, &bytes) != TK_CMAF_CHUNK ||
        !rec_entry_from_chunk(init, &chunk, data, 0, &own))
        return FALSE;
    *ret_shift_ns = entry->media_ns - own.media_ns;
    return TRUE;
}

gboolean rec_index_read(const char *path, GArray *entries, guint64 *at, gboolean *ret_clean,
                        GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    if (!file)
        return FALSE;
    const char *data = g_mapped_file_get_contents(file);
    gsize size = g_mapped_file_get_length(file), from = MIN(*at, size);

    while (from < size) {
        const char *line = data + from, *end = memchr(line, '\n', size - from);
        RecEntry entry;
        if (!end)
            break;
        if (*line != '#') {
            const RecEntry *last =
                entries->len ? &g_array_index(entries, RecEntry, entries->len - 1) : NULL;
            if (!rec_entry_parse(line, (gsize)(end - line), &entry) ||
                (last && entry.offset < last->offset + last->bytes))
                break;
            g_array_append_val(entries, entry);
        }
        from = (gsize)(end + 1 - data);
    }
    *at = from;
    if (ret_clean)
        *ret_clean = from == size;
    return TRUE;
}

gboolean rec_index_read_rest(const char *path, guint64 at, GArray *entries, guint64 *ret_torn_bytes,
                             GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    if (!file)
        return FALSE;
    const char *data = g_mapped_file_get_contents(file), *end;
    gsize size = g_mapped_file_get_length(file), from = MIN(at, size), good = from;

    for (; from < size && (end = memchr(data + from, '\n', size - from));
         from = (gsize)(end + 1 - data)) {
        RecEntry entry;
        gboolean is_entry = rec_entry_parse(data + from, (gsize)(end - data) - from, &entry);
        if (is_entry)
            g_array_append_val(entries, entry);
        if (is_entry || data[from] == '#')
            good = (gsize)(end + 1 - data);
    }
    *ret_torn_bytes = size - good;
    return TRUE;
}

const char *rec_boot_id(void)
{
    static char *id;
    if (g_once_init_enter(&id)) {
        char *text = NULL;
        // Where it cannot be read every start counts as one of the machine, which costs a second at
        // most and is safe.
        if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL) ||
            strlen(g_strstrip(text)) != BOOT_ID_BYTES) {
            g_free(text);
            text = g_uuid_string_random();
        }
        g_once_init_leave(&id, text);
    }
    return id;
}

char *rec_index_boot(const char *path)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    gsize size = file ? g_mapped_file_get_length(file) : 0;
    const char *text = size ? g_mapped_file_get_contents(file) : NULL;
    const char *at = text ? g_strrstr_len(text, (gssize)size, "\n" REC_INDEX_BOOT) : NULL;
    if (!at)
        return NULL;
    at += strlen("\n" REC_INDEX_BOOT);
    const char *end = memchr(at, '\n', size - (gsize)(at - text));
    return end && end - at == BOOT_ID_BYTES ? g_strndup(at, BOOT_ID_BYTES) : NULL;
}

void rec_counting_format(const RecCounting *counting, GString *out)
{
    g_string_append_printf(out, REC_INDEX_RELAY "%" G_GINT64_FORMAT " %" G_GUINT64_FORMAT "\n",
                           counting->started_ns, counting->offset);
}

gboolean rec_index_counting(const char *path, guint64 media_bytes, RecCounting *ret)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    const char *text = file ? g_mapped_file_get_contents(file) : NULL;
    gsize size = text ? g_mapped_file_get_length(file) : 0;
    guint64 started, offset;

    for (const char *at; size && (at = g_strrstr_len(text, (gssize)size, "\n" REC_INDEX_RELAY));
         size = (gsize)(at - text)) {
        const char *line = at + strlen("\n" REC_INDEX_RELAY);
        const char *end = memchr(line, '\n', g_mapped_file_get_length(file) - (gsize)(line - text));
        g_autofree char *words = end ? g_strndup(line, (gsize)(end - line)) : g_strdup("");
        char *next = words;
        if (!number_next(&next, 10, G_MAXINT64, &started) ||
            !number_next(&next, 10, G_MAXINT64, &offset) || *next || offset >= media_bytes)
            continue;
        *ret = (RecCounting){(gint64)started, offset};
        return TRUE;
    }
    return FALSE;
}

char *rec_folder_path(const char *data, const char *id)
{
    g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(tk_ulid_wall_ns(id) / TK_NS_PER_S);
    g_autofree char *month = when ? g_date_time_format(when, "%Y/%m") : g_strdup("0000/00");
    return g_build_filename(data, "lessons", month, id, NULL);
}

char *rec_stream_path(const char *folder, const char *stream, const char *suffix)
{
    return g_strdup_printf("%s/%s.%s", folder, stream, suffix);
}

gboolean rec_file_is_ours(const char *name)
{
    static const char *const suffixes[] = {".mp4", ".index", ".head", REC_UPLOAD_SUFFIX};
    static const char *const names[] = {"lesson.json", "lesson.json.damaged", "events.jsonl",
                                        "poster.jpg", REC_HEAL_FILE};
    g_autofree char *plain = // a crash may leave what was to replace a file
        g_str_has_suffix(name, ".new") ? g_strndup(name, strlen(name) - 4) : g_strdup(name);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
        if (strcmp(plain, names[i]) == 0)
            return TRUE;
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        if (!g_str_has_suffix(plain, suffixes[i]))
            continue;
        g_autofree char *stream = g_strndup(plain, strlen(plain) - strlen(suffixes[i]));
        if (strcmp(suffixes[i], REC_UPLOAD_SUFFIX) == 0)
            stream[strcspn(stream, ".")] = '\0'; // <stream>.<key>.upload
        if (tk_name_stream_valid(stream))
            return TRUE;
    }
    return FALSE;
}

static gboolean fail(GError **error, const char *what, const char *path)
{
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot %s %s: %s", what, path, g_strerror(errno));
    return FALSE;
}

gboolean rec_folder_sync(const char *folder, GError **error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(error, "open", folder);
    gboolean ok = fsync(fd) == 0 || fail(error, "sync", folder);
    close(fd);
    return ok;
}

gboolean rec_folder_make(const char *folder, GError **error)
{
    if (g_file_test(folder, G_FILE_TEST_IS_DIR))
        return TRUE;
    g_autofree char *parent = g_path_get_dirname(folder);
    if (strcmp(parent, folder) != 0 && !rec_folder_make(parent, error))
        return FALSE;
    if (g_mkdir(folder, 0755) != 0 && errno != EEXIST)
        return fail(error, "make", folder);
    return rec_folder_sync(parent, error);
}

gboolean rec_write_all(int fd, const void *data, gsize size)
{
    const guint8 *at = data;
    while (size > 0) {
        gssize n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (n == 0)
                errno = EIO;
            return FALSE;
        }
        at += n;
        size -= (gsize)n;
    }
    return TRUE;
}

gboolean rec_file_replace(const char *path, const char *data, gsize size, GError **error)
{
    g_autofree char *temporary = g_strconcat(path, ".new", NULL);
    g_autofree char *folder = g_path_get_dirname(path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return fail(error, "write", temporary);
    gboolean ok = rec_write_all(fd, data, size) && fsync(fd) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    if (!ok || g_rename(temporary, path) != 0) {
        fail(error, "write", path);
        g_unlink(temporary);
        return FALSE;
    }
    return rec_folder_sync(folder, error);
}
