// SPDX-License-Identifier: MIT
#include "client/player/losses.h"

static guint64 count(const GstStructure *stats, const char *name)
{
    guint64 value = 0;

    gst_structure_get_uint64(stats, name, &value);
    return value;
}

static void add(const GValue *item, gpointer data)
{
    GstElement *element = g_value_get_object(item);
    GstElementFactory *factory = gst_element_get_factory(element);
    PlayLosses *sum = data;
    GstStructure *stats = NULL;

    if (!factory || !g_str_equal(GST_OBJECT_NAME(factory), "rtpjitterbuffer"))
        return;
    g_object_get(element, "stats", &stats, NULL);
    sum->packets += count(stats, "num-pushed");
    sum->lost += count(stats, "num-lost");
    sum->late += count(stats, "num-late");
    sum->asked += count(stats, "rtx-count");
    sum->repaired += count(stats, "rtx-success-count");
    gst_structure_free(stats);
}

void play_losses_read(GstElement *bin, PlayLosses *ret)
{
    GstIterator *elements = gst_bin_iterate_recurse(GST_BIN(bin));

    do {
        gst_iterator_resync(elements);
        *ret = (PlayLosses){0};
    } while (gst_iterator_foreach(elements, add, ret) == GST_ITERATOR_RESYNC);
    gst_iterator_free(elements);
}
