// SPDX-License-Identifier: MIT
#include "relay/net/audience_mail.h"

void relay_audience_mail_init(RelayStream *stream, RelayUnit *init, const RelayStreamFormat *format)
{
    guint slot = init->flags & RELAY_UNIT_SOUND ? 1 : 0;
    relay_unit_unref(stream->inits[slot].segment);
    stream->inits[slot].segment = init;
    stream->inits[slot].format = *format;
}

typedef struct {
    RelayStream *stream;
    RelayUnit *chunk, *init;
    RelayStreamFormat format;
} Chunk;

static void chunk_free(Chunk *letter)
{
    relay_stream_unref(letter->stream);
    relay_unit_unref(letter->chunk);
    relay_unit_unref(letter->init);
    g_free(letter);
}

static void take_chunk(gpointer owner, gpointer data)
{
    Chunk *letter = data;
    if (letter->init && !relay_audience_has_init(owner, letter->stream, letter->init))
        relay_audience_push(owner, letter->stream, letter->init, &letter->format);
    relay_audience_push(owner, letter->stream, letter->chunk, NULL);
    chunk_free(letter);
}

gboolean relay_audience_mail_chunk(RelayMailbox *to, RelayStream *stream, RelayUnit *chunk)
{
    guint slot = chunk->flags & RELAY_UNIT_SOUND ? 1 : 0;
    Chunk *letter = g_new(Chunk, 1);
    *letter = (Chunk){relay_stream_ref(stream), relay_unit_ref(chunk), stream->inits[slot].segment,
                      stream->inits[slot].format};
    if (letter->init)
        relay_unit_ref(letter->init);
    if (relay_mailbox_offer(to, take_chunk, letter))
        return TRUE;
    chunk_free(letter);
    return FALSE;
}

typedef struct {
    RelayStream *stream;
    char *state, *lesson_json;
} State;

static void take_state(gpointer owner, gpointer data)
{
    State *letter = data;
    relay_audience_set_state(owner, letter->stream, letter->state, letter->lesson_json);
    relay_stream_unref(letter->stream);
    g_free(letter->state);
    g_free(letter->lesson_json);
    g_free(letter);
}

void relay_audience_mail_state(RelayMailbox *to, RelayStream *stream, const char *state,
                               const char *lesson_json)
{
    State *letter = g_new(State, 1);
    *letter = (State){relay_stream_ref(stream), g_strdup(state), g_strdup(lesson_json)};
    relay_mailbox_post(to, take_state, letter);
}

typedef struct {
    char *json, *name, *id;
} Event;

static void take_event(gpointer owner, gpointer data)
{
    Event *letter = data;
    relay_audience_send_event(owner, letter->json, letter->name, letter->id);
    g_free(letter->json);
    g_free(letter->name);
    g_free(letter->id);
    g_free(letter);
}

void relay_audience_mail_event(RelayMailbox *to, const char *json, const char *name, const char *id)
{
    Event *letter = g_new(Event, 1);
    *letter = (Event){g_strdup(json), g_strdup(name), g_strdup(id)};
    relay_mailbox_post(to, take_event, letter);
}

typedef struct {
    guint64 serial;
    char *json;
} Snapshot;

static void take_snapshot(gpointer owner, gpointer data)
{
    Snapshot *letter = data;
    relay_audience_give_snapshot(owner, letter->serial, letter->json);
    g_free(letter->json);
    g_free(letter);
}

void relay_audience_mail_snapshot(RelayMailbox *to, guint64 serial, const char *json)
{
    Snapshot *letter = g_new(Snapshot, 1);
    *letter = (Snapshot){serial, g_strdup(json)};
    relay_mailbox_post(to, take_snapshot, letter);
}
