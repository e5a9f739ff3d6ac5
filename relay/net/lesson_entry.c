// SPDX-License-Identifier: MIT
#include "relay/net/lesson_entry.h"

#include "common/base/clock.h"
#include "common/base/error.h"

#define BITRATE_INTERVAL_NS (2 * TK_NS_PER_S)

static void stream_free(gpointer data)
{
    RelayStreamEntry *stream = data;
    relay_stream_unref(stream->handle);
    relay_conn_unref(stream->sender);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        g_clear_pointer(&stream->configs[i], g_bytes_unref);
    g_free(stream);
}

RelayLessonEntry *relay_lesson_entry_new(const char *name, const char *id, gint64 wall_ns)
{
    RelayLessonEntry *entry = g_new0(RelayLessonEntry, 1);
    entry->lesson = relay_lesson_new(name, id, wall_ns);
    entry->streams = g_ptr_array_new_with_free_func(stream_free);
    entry->schools = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return entry;
}

void relay_lesson_entry_free(gpointer entry)
{
    RelayLessonEntry *e = entry;
    if (!e)
        return;
    g_ptr_array_unref(e->streams);
    g_hash_table_unref(e->schools);
    relay_lesson_free(e->lesson);
    g_free(e);
}

RelayStreamEntry *relay_lesson_entry_stream(const RelayLessonEntry *entry, const char *name)
{
    for (guint i = 0; entry && i < entry->streams->len; i++) {
        RelayStreamEntry *stream = entry->streams->pdata[i];
        if (g_str_equal(stream->handle->name, name))
            return stream;
    }
    return NULL;
}

RelayLessonStream *relay_lesson_entry_face(const RelayLessonEntry *entry,
                                           const RelayStreamEntry *stream)
{
    guint index;
    gboolean found = g_ptr_array_find(entry->streams, stream, &index);
    g_assert(found);
    return entry->lesson->streams->pdata[index];
}

RelayStreamEntry *relay_lesson_entry_add(RelayLessonEntry *entry, const char *name)
{
    if (!relay_lesson_stream(entry->lesson, name, TRUE))
        return NULL;
    RelayStreamEntry *stream = g_new0(RelayStreamEntry, 1);
    stream->handle = relay_stream_new(entry->lesson->id, entry->lesson->name, name);
    g_ptr_array_add(entry->streams, stream);
    return stream;
}

gboolean relay_stream_entry_take_tracks(RelayStreamEntry *stream, const RelayOffer *offer,
                                        GError **error)
{
    gboolean fresh = stream->tracks_count == 0, same = stream->tracks_count == offer->tracks_count;
    for (guint i = 0; fresh && i < offer->tracks_count; i++) {
        stream->kinds[i] = offer->formats[i].kind;
        stream->clock_rates[i] = offer->formats[i].clock_rate;
    }
    if (fresh)
        stream->tracks_count = offer->tracks_count;
    for (guint i = 0; same && i < offer->tracks_count; i++)
        same = stream->kinds[i] == offer->formats[i].kind &&
               stream->clock_rates[i] == offer->formats[i].clock_rate;
    if (!fresh && !same)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT,
                    "the tracks differ from those this stream began with");
    return fresh || same;
}

gint64 relay_stream_entry_heard_ns(const RelayStreamEntry *stream)
{
    return MAX(relay_stat_get(stream->handle->last_packet_ns), stream->began_ns);
}

void relay_lesson_entry_count_school(RelayLessonEntry *entry, const char *school, gint change)
{
    gint count = GPOINTER_TO_INT(g_hash_table_lookup(entry->schools, school)) + change;
    if (count > 0)
        g_hash_table_replace(entry->schools, g_strdup(school), GINT_TO_POINTER(count));
    else
        g_hash_table_remove(entry->schools, school);
}

void relay_lesson_entry_refresh(RelayLessonEntry *entry)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        const RelayStreamEntry *stream = entry->streams->pdata[i];
        RelayLessonStream *face = entry->lesson->streams->pdata[i];
        face->packets_in = relay_stat_get(stream->handle->packets_in);
        face->lost_in = relay_stat_get(stream->handle->packets_lost_in);
        face->repaired_in = relay_stat_get(stream->handle->packets_repaired_in);
        face->delay_in_ns = relay_stat_get(stream->handle->delay_in_ns);
        face->blind = relay_stat_get(stream->handle->blind_in) != 0;
        face->newest_chunk = relay_stat_get(stream->handle->chunk_newest);
        face->oldest_chunk = relay_stat_get(stream->handle->chunk_oldest);
    }
    entry->lesson->schools = g_hash_table_size(entry->schools);
}

void relay_lesson_entry_measure(RelayLessonEntry *entry, gint64 now_ns)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        RelayStreamEntry *stream = entry->streams->pdata[i];
        if (now_ns - stream->measured_ns < BITRATE_INTERVAL_NS)
            continue;
        guint64 bytes = relay_stat_get(stream->handle->bytes_in);
        RelayLessonStream *face = entry->lesson->streams->pdata[i];
        face->bitrate_bps = (gint64)(bytes - stream->measured_bytes) * 8 * TK_NS_PER_S /
                            (now_ns - stream->measured_ns);
        stream->measured_bytes = bytes;
        stream->measured_ns = now_ns;
    }
}
