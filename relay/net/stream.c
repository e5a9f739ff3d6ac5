// SPDX-License-Identifier: MIT
#include "relay/net/stream.h"

RelayStream *relay_stream_new(const char *lesson_id, const char *lesson_name, const char *name)
{
    RelayStream *stream = g_new0(RelayStream, 1);
    stream->refs = 1;
    stream->lesson_id = g_strdup(lesson_id);
    stream->lesson_name = g_strdup(lesson_name);
    stream->name = g_strdup(name);
    stream->session = MAX(g_random_int(), 1);
    return stream;
}

RelayStream *relay_stream_ref(RelayStream *stream)
{
    g_atomic_int_inc(&stream->refs);
    return stream;
}

void relay_stream_unref(RelayStream *stream)
{
    if (!stream || !g_atomic_int_dec_and_test(&stream->refs))
        return;
    for (guint i = 0; i < G_N_ELEMENTS(stream->inits); i++)
        relay_unit_unref(stream->inits[i].segment);
    g_free(stream->lesson_id);
    g_free(stream->lesson_name);
    g_free(stream->name);
    g_free(stream);
}
