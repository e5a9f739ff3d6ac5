// SPDX-License-Identifier: MIT
#include "recorder/source.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "recorder/archive/recover.h"

#include <string.h>

struct _RecSource {
    RecLesson *lesson;
    RecStream *stream;
    char *folder;
    RecWriter *writer;
    const RecSourceHandler *handler;
    void *user;

    TkWebLink *link;
    RecFile *file;     // NULL: to be recovered and opened before the next try
    guint64 media_end; // of what is queued
    gboolean has_last;
    RecEntry last; // the last chunk queued
    GBytes *init;  // the initialisation segment in force, as queued
    TkCmafInit tracks;
    gint64 last_shift_ns; // of the last chunk's media time
    gint64 counted_ns;    // what that would be by the relay's clock alone
    gint64 epoch_ns;      // from which the relay counts; 0 = not known

    gboolean came;  // pieces have come on this connection
    gboolean ended; // it was the last one of a lesson that was there: pieces, then the end
    gboolean told_down, flowing;
    gboolean draining, given_up; // the end is being fetched; it is waited for no longer
    gboolean settling, refused;  // all of it is being made durable; the disk refused
    gboolean done;
    guint drain_timer;
    guint drain_s, quiet_s; // of draining; of that with relay and disk there and no chunk coming
};

static void source_finish(RecSource *source)
{
    if (source->done)
        return;
    source->done = TRUE;
    g_clear_handle_id(&source->drain_timer, g_source_remove);
    source->handler->on_done(source->user);
}

static void source_flow(RecSource *source, gboolean flowing, const char *why)
{
    if (source->flowing == flowing)
        return;
    source->flowing = flowing;
    source->handler->on_flow(source->user, why);
}

static void source_log(const RecSource *source, TkLogLevel level, const char *reason,
                       const char *text)
{
    tk_log(level,
           &(TkLogFields){
               .lesson = source->lesson->id, .stream = source->stream->name, .reason = reason},
           "%s", text);
}

// The file takes nothing more: it is salvaged and opened again before the next try.
static void file_failed(void *user)
{
    RecSource *source = user;
    rec_file_close(source->file);
    source->file = NULL;
    source->refused = source->settling;
    tk_web_link_drop(source->link, "the disk takes no more");
}

// `last`, the last chunk, may be NULL. Recovery has held both against the file.
static void init_load(RecSource *source, const RecEntry *entry, const RecEntry *last)
{
    g_autofree char *path = rec_stream_path(source->folder, source->stream->name, "mp4");
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    gsize size = file ? g_mapped_file_get_length(file) : 0;
    if (entry->offset + entry->bytes > size || (last && last->offset + last->bytes > size))
        return;
    const guint8 *data = (const guint8 *)g_mapped_file_get_contents(file);
    if (!tk_cmaf_init_parse(data + entry->offset, entry->bytes, &source->tracks))
        return;
    source->init = g_bytes_new(data + entry->offset, entry->bytes);
    if (last &&
        !rec_entry_shift(&source->tracks, last, data + last->offset, &source->last_shift_ns))
        source->last_shift_ns = 0;
}

// Takes up what the folder has, and opens it.
static gboolean file_resume(RecSource *source, GError **error)
{
    g_auto(RecRecovered) recovered = {0};
    const RecEntry *before = NULL, *init = NULL;

    if (!rec_recover_stream(source->folder, source->stream->name, &recovered, error))
        return FALSE;
    g_clear_pointer(&source->init, g_bytes_unref);
    tk_cmaf_init_clear(&source->tracks);
    memset(&source->tracks, 0, sizeof source->tracks);
    rec_lesson_reset_stream(source->lesson, source->stream);
    for (guint i = 0; i < recovered.entries->len; i++) {
        const RecEntry *entry = &g_array_index(recovered.entries, RecEntry, i);
        rec_lesson_add_entry(source->lesson, source->stream, entry);
        if (entry->flags & REC_ENTRY_INIT) {
            init = entry;
            continue;
        }
        before = entry;
    }
    source->has_last = before != NULL;
    if (before)
        source->last = *before;
    source->last_shift_ns = 0;
    if (init)
        init_load(source, init, before);
    source->counted_ns = source->last_shift_ns;
    g_autofree char *index = rec_stream_path(source->folder, source->stream->name, "index");
    RecCounting counting;
    if (rec_index_counting(index, recovered.media_bytes, &counting))
        source->counted_ns = counting.started_ns - source->lesson->started_ns;
    source->media_end = recovered.media_bytes;
    source->file = rec_writer_open(source->writer, source->folder, source->stream->name,
                                   source->media_end, file_failed, source, error);
    return source->file != NULL;
}

// How much later than the lesson began the relay's media time does.
static gint64 source_shift_ns(const RecSource *source)
{
    gint64 started_ns = source->lesson->started_ns;
    return source->epoch_ns && started_ns ? source->epoch_ns - started_ns : source->counted_ns;
}

// Whether the relay's numbers do not go on from those of the last chunk. Clocks are told to the
// millisecond.
static gboolean source_begins_anew(const RecSource *source)
{
    return source->has_last &&
           ABS(source_shift_ns(source) - source->counted_ns) >= 2 * TK_NS_PER_MS;
}

static gboolean file_reopen(RecSource *source)
{
    g_autoptr(GError) error = NULL;
    if (source->file || file_resume(source, &error))
        return TRUE;
    source_log(source, TK_LOG_ERROR, tk_error_word(TK_ERROR_IO), error->message);
    rec_writer_count_failure(source->writer);
    return FALSE;
}

static void source_settle(RecSource *source);

static void settled(void *user)
{
    RecSource *source = user;
    gboolean refused = source->refused;

    source->settling = source->refused = FALSE;
    if (!refused)
        source_finish(source);
    else if (source->given_up)
        source_settle(source);
    else // what came meanwhile was passed over
        tk_web_link_drop(source->link, "the disk takes no more");
}

// Nothing more is to come: the source is done when all that came is durable. What the disk refuses
// is asked for again while the end is waited for; then what it took is all there is.
static void source_settle(RecSource *source)
{
    if (source->settling || source->done)
        return;
    if (source->file) {
        source->settling = TRUE;
        rec_writer_after(source->writer, settled, source);
    } else if (source->given_up) {
        (void)file_reopen(source); // counts what is there
        source_finish(source);
    }
}

static char *source_path(void *user)
{
    RecSource *source = user;

    (void)file_reopen(source); // without it what comes is refused, and asked for again
    source->came = source->ended = FALSE;
    return g_strdup_printf(
        "/live/%s/%s?from=%u", source->lesson->id, source->stream->name,
        source->has_last && !source_begins_anew(source) ? source->last.sequence + 1 : 1);
}

static void source_text(void *user, const char *text, gsize length)
{
    RecSource *source = user;
    g_autoptr(json_t) message = tk_json_parse(text, length, 256 * 1024, NULL);
    const char *type = tk_json_string(message, "type", "");

    if (strcmp(type, "init") == 0) {
        g_free(source->stream->mime);
        source->stream->mime = g_strdup(tk_json_string(message, "mime", NULL));
        source->stream->width = (guint)CLAMP(tk_json_int(message, "width", 0), 0, 65535);
        source->stream->height = (guint)CLAMP(tk_json_int(message, "height", 0), 0, 65535);
    } else if (strcmp(type, "state") == 0) {
        gint64 epoch_ns = 0;
        const char *started = tk_json_string(json_object_get(message, "lesson"), "started", NULL);
        if (started && tk_clock_parse_rfc3339(started, &epoch_ns, NULL))
            rec_source_set_epoch(source, epoch_ns);
        const char *state = tk_json_string(message, "state", "");
        if (strcmp(state, "away") == 0)
            source_flow(source, FALSE, "the sender is away");
        // A relay that waits for this id knows nothing of the lesson any more.
        if (source->draining && strcmp(state, "waiting") == 0)
            source_settle(source);
    }
}

static gboolean piece_append(RecSource *source, GBytes *piece, RecEntry *entry)
{
    entry->offset = source->media_end;
    if (!source->file || !rec_file_append(source->file, piece, entry)) {
        tk_web_link_drop(source->link, "the disk does not keep up");
        return FALSE;
    }
    source->media_end += entry->bytes;
    rec_lesson_add_entry(source->lesson, source->stream, entry);
    return TRUE;
}

static gboolean init_take(RecSource *source, GBytes *piece)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(piece, &size);
    TkCmafInit tracks = {0};

    if (source->init && g_bytes_equal(source->init, piece))
        return TRUE;
    if (!tk_cmaf_init_parse(data, size, &tracks))
        return FALSE;
    RecEntry entry = {
        .flags = REC_ENTRY_INIT,
        .bytes = (guint32)size,
        .sequence = source->has_last ? source->last.sequence + 1 : 1,
        .media_ns = source->has_last ? rec_entry_end_ns(&source->last) : 0,
        .crc = rec_crc32(data, size),
    };
    if (!piece_append(source, piece, &entry)) {
        tk_cmaf_init_clear(&tracks);
        return TRUE;
    }
    g_clear_pointer(&source->init, g_bytes_unref);
    source->init = g_bytes_ref(piece);
    tk_cmaf_init_clear(&source->tracks);
    source->tracks = tracks;
    return TRUE;
}

static gboolean chunk_take(RecSource *source, GBytes *piece, const TkCmafChunk *chunk)
{
    RecEntry entry;
    gboolean begins = !source->has_last || source_begins_anew(source);
    gint64 shift_ns = begins ? 0 : source->last_shift_ns;

    if (!rec_entry_from_chunk(&source->tracks, chunk, g_bytes_get_data(piece, NULL), shift_ns,
                              &entry))
        return FALSE;
    if (!begins && entry.sequence <= source->last.sequence)
        return TRUE;
    if (begins) {
        // Whatever the clocks say: not before the end of what is there.
        gint64 end_ns = source->has_last ? rec_entry_end_ns(&source->last) : 0;
        shift_ns = MAX(source_shift_ns(source), end_ns - entry.media_ns);
        entry.media_ns += shift_ns;
        const RecCounting counting = {source->epoch_ns, source->media_end};
        if (source->has_last && source->file)
            rec_file_counting(source->file, &counting);
    }
    if (piece_append(source, piece, &entry)) {
        source->quiet_s = 0;
        if (begins)
            source->counted_ns = source_shift_ns(source);
        source->last = entry;
        source->last_shift_ns = shift_ns;
        source->has_last = TRUE;
        source->handler->on_change(source->user);
        source_flow(source, TRUE, "chunks come");
    }
    return TRUE;
}

static void source_binary(void *user, GBytes *piece)
{
    RecSource *source = user;
    gsize size, bytes = 0;
    const guint8 *data = g_bytes_get_data(piece, &size);
    TkCmafChunk chunk;
    gboolean good = FALSE;

    if (source->done || source->settling)
        return;
    source->came = TRUE;
    if (source->told_down) {
        source->told_down = FALSE;
        source_log(source, TK_LOG_INFO, NULL, "the stream flows again");
    }
    if (size > 0 && size <= REC_PIECE_BYTES_MAX) {
        TkCmafPiece kind = tk_cmaf_piece(data, size, &chunk, &bytes);
        if (kind == TK_CMAF_INIT && bytes == size)
            good = init_take(source, piece);
        else if (kind == TK_CMAF_CHUNK && bytes == size)
            good = chunk_take(source, piece, &chunk);
    }
    if (!good)
        tk_web_link_drop(source->link, "a message is no piece of a recording");
}

static void source_down(void *user, guint status, guint code, const char *why)
{
    RecSource *source = user;
    gboolean over = code == 1000;

    if (source->done)
        return;
    source_flow(source, FALSE, why);
    if (source->draining && (over || status == 404)) {
        source_settle(source);
    } else if (over) {
        // A relay that was started again says so, too, of a lesson whose sender is not back yet:
        // its events tell whether the lesson is over, and until then it is asked again.
        source->ended = source->came;
    } else if (!source->told_down) {
        source->told_down = TRUE;
        source_log(source, TK_LOG_WARNING,
                   code == 1008 || status == 401 || status == 403 ? "forbidden" : NULL, why);
        source_log(source, TK_LOG_INFO, NULL, "trying again until the stream is back");
    }
}

static const TkWebLinkHandler link_handler = {source_path, source_text, source_binary, source_down};

RecSource *rec_source_new(RecLesson *lesson, RecStream *stream, const char *folder,
                          RecWriter *writer, const TkWebTarget *target,
                          const RecSourceHandler *handler, void *user)
{
    RecSource *source = g_new0(RecSource, 1);
    source->lesson = lesson;
    source->stream = stream;
    source->folder = g_strdup(folder);
    source->writer = writer;
    source->handler = handler;
    source->user = user;
    source->link = tk_web_link_new(target, &link_handler, source);
    return source;
}

void rec_source_free(RecSource *source)
{
    if (!source)
        return;
    g_clear_handle_id(&source->drain_timer, g_source_remove);
    tk_web_link_free(source->link);
    rec_file_close(source->file);
    g_clear_pointer(&source->init, g_bytes_unref);
    tk_cmaf_init_clear(&source->tracks);
    g_free(source->folder);
    g_free(source);
}

void rec_source_set_epoch(RecSource *source, gint64 epoch_ns)
{
    gboolean anew = source_begins_anew(source);
    source->epoch_ns = epoch_ns;
    // What was asked for was counted from another beginning.
    if (!anew && source_begins_anew(source)) {
        source_log(source, TK_LOG_WARNING, NULL, "the relay counts the lesson anew");
        tk_web_link_drop(source->link, "the relay counts the lesson anew");
    }
}

static gboolean drain_tick(void *data)
{
    RecSource *source = data;

    source->drain_s++;
    source->quiet_s += source->file && tk_web_link_connected(source->link);
    if (source->quiet_s < REC_SOURCE_DRAIN_S && source->drain_s < REC_SOURCE_DRAIN_S_MAX)
        return G_SOURCE_CONTINUE;
    source_log(source, TK_LOG_WARNING, NULL,
               "the end is waited for no longer: what has not come of it is not recorded");
    source->drain_timer = 0;
    source->given_up = TRUE;
    source_settle(source);
    return G_SOURCE_REMOVE;
}

void rec_source_drain(RecSource *source)
{
    if (source->draining || source->done)
        return;
    source->draining = TRUE;
    source->drain_timer = g_timeout_add_seconds(1, drain_tick, source);
    if (source->ended)
        source_settle(source);
    else
        tk_web_link_try_now(source->link);
}

gboolean rec_source_flowing(const RecSource *source)
{
    return source->flowing;
}

gboolean rec_source_done(const RecSource *source)
{
    return source->done;
}
