// SPDX-License-Identifier: MIT
#include "recorder/study/poster.h"

#include "common/base/clock.h"
#include "common/base/error.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>

// Chunks after the keyframe that a decoder may want before it gives the first picture.
#define CHUNKS_MAX 20

gboolean study_poster_choose(const RecEntry *entries, guint count, guint *ret_init, guint *ret_key,
                             guint *ret_end)
{
    gint64 first_ns = -1, end_ns = 0, best_ns = G_MAXINT64;
    guint init = count, key = count, key_init = count;

    for (guint i = 0; i < count; i++) {
        if (entries[i].flags & REC_ENTRY_INIT)
            continue;
        if (first_ns < 0)
            first_ns = entries[i].media_ns;
        end_ns = MAX(end_ns, rec_entry_end_ns(&entries[i]));
    }
    gint64 wanted_ns = first_ns + (end_ns - first_ns) / 5;
    for (guint i = 0; i < count; i++) {
        if (entries[i].flags & REC_ENTRY_INIT)
            init = i;
        gint64 away_ns = ABS(entries[i].media_ns - wanted_ns);
        if (!(entries[i].flags & REC_ENTRY_KEY) || init == count || away_ns >= best_ns)
            continue;
        best_ns = away_ns;
        key = i;
        key_init = init;
    }
    if (key == count)
        return FALSE;
    guint end = key + 1;
    while (end < count && end - key < CHUNKS_MAX && !(entries[end].flags & REC_ENTRY_INIT))
        end++;
    *ret_init = key_init;
    *ret_key = key;
    *ret_end = end;
    return TRUE;
}

static gboolean entry_push(GstAppSrc *source, GMappedFile *media, const RecEntry *entry)
{
    gsize size = g_mapped_file_get_length(media);
    if (entry->offset > size || entry->bytes > size - entry->offset)
        return FALSE;
    GstBuffer *buffer =
        gst_buffer_new_memdup(g_mapped_file_get_contents(media) + entry->offset, entry->bytes);
    return gst_app_src_push_buffer(source, buffer) == GST_FLOW_OK;
}

static GstElement *pipeline_new(GError **error)
{
    g_autofree char *text = g_strdup_printf(
        "appsrc name=in format=bytes caps=video/quicktime ! qtdemux ! h264parse ! avdec_h264 !"
        " videoconvert ! videoscale ! video/x-raw,width=%d,pixel-aspect-ratio=1/1 ! jpegenc"
        " quality=80 ! appsink name=out sync=false max-buffers=1",
        STUDY_POSTER_WIDTH);
    return gst_parse_launch(text, error);
}

// What went wrong, if the pipeline knows it.
static void error_take(GstElement *pipeline, GError **error)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    if (message) {
        gst_message_parse_error(message, error, NULL);
        gst_message_unref(message);
    } else {
        g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED, "no picture could be decoded");
    }
    gst_object_unref(bus);
}

static GstSample *still_decode(GMappedFile *media, const GArray *entries, GError **error)
{
    guint init, key, end;
    const RecEntry *all = (const RecEntry *)entries->data;
    if (!study_poster_choose(all, entries->len, &init, &key, &end)) {
        g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND, "there is no keyframe");
        return NULL;
    }
    GstElement *pipeline = pipeline_new(error);
    if (!pipeline)
        return NULL;
    GstElement *in = gst_bin_get_by_name(GST_BIN(pipeline), "in");
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    gboolean ok = entry_push(GST_APP_SRC(in), media, &all[init]);
    for (guint i = key; ok && i < end; i++)
        ok = entry_push(GST_APP_SRC(in), media, &all[i]);
    gst_app_src_end_of_stream(GST_APP_SRC(in));
    GstSample *sample =
        gst_app_sink_try_pull_sample(GST_APP_SINK(out), STUDY_POSTER_S * GST_SECOND);
    if (!sample)
        error_take(pipeline, error);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(in);
    gst_object_unref(out);
    gst_object_unref(pipeline);
    return sample;
}

gboolean study_poster_make(const char *folder, const char *stream, GError **error)
{
    g_autofree char *media_path = rec_stream_path(folder, stream, "mp4");
    g_autofree char *index_path = rec_stream_path(folder, stream, "index");
    g_autofree char *poster_path = g_build_filename(folder, STUDY_POSTER_FILE, NULL);
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_autoptr(GMappedFile) media = NULL;
    guint64 at = 0;
    GstMapInfo map;

    if (!rec_index_read(index_path, entries, &at, NULL, error) ||
        !(media = g_mapped_file_new(media_path, FALSE, error)))
        return FALSE;
    GstSample *sample = still_decode(media, entries, error);
    if (!sample)
        return FALSE;
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    gboolean ok = gst_buffer_map(buffer, &map, GST_MAP_READ);
    if (ok) {
        ok = rec_file_replace(poster_path, (const char *)map.data, map.size, error);
        gst_buffer_unmap(buffer, &map);
    } else {
        g_set_error(error, TK_ERROR, TK_ERROR_INTERNAL, "the still cannot be read");
    }
    gst_sample_unref(sample);
    return ok;
}
