// SPDX-License-Identifier: MIT
#include "relay/net/lesson_post.h"

#include "relay/net/audience_mail.h"

typedef struct {
    RelayLessonPost post;
    guint worker;
    RelayStream *stream;
    gint64 epoch_wall_ns;
} Letter;

static void send_to_each(const RelayLessonPost *post, RelayStream *stream, gint64 epoch_wall_ns,
                         RelayTask task)
{
    for (guint worker = 0; worker < post->handoff->packet_count; worker++) {
        Letter *letter = g_new(Letter, 1);
        *letter = (Letter){*post, worker, relay_stream_ref(stream), epoch_wall_ns};
        relay_worker_post(post->handoff->workers[worker], task, letter);
    }
}

static void letter_free(Letter *letter)
{
    relay_stream_unref(letter->stream);
    g_free(letter);
}

static void open_stream(gpointer owner, gpointer data)
{
    Letter *letter = data;
    relay_fanout_open(letter->post.handoff->fanouts[letter->worker], letter->stream);
    if (letter->worker == 0)
        relay_ingest_open(letter->post.ingest, letter->stream, letter->epoch_wall_ns);
    letter_free(letter);
}

void relay_lesson_post_open(const RelayLessonPost *post, RelayStream *stream, gint64 epoch_wall_ns)
{
    send_to_each(post, stream, epoch_wall_ns, open_stream);
}

static void stream_closed(gpointer owner, gpointer data)
{
    Letter *letter = data;
    letter->post.on_closed(owner, letter->stream);
    letter_free(letter);
}

static void close_stream(gpointer owner, gpointer data)
{
    Letter *letter = data;
    RelayHandoff *handoff = letter->post.handoff;
    if (letter->worker == 0)
        relay_ingest_close(letter->post.ingest, letter->stream);
    relay_fanout_close(handoff->fanouts[letter->worker], letter->stream);
    if (letter->worker == 0)
        relay_mailbox_post(handoff->desk, stream_closed, letter);
    else
        letter_free(letter);
}

void relay_lesson_post_close(const RelayLessonPost *post, RelayStream *stream)
{
    // At once: who comes now waits for the next lesson of that name.
    for (guint worker = 0; worker < post->handoff->web_count; worker++)
        relay_audience_mail_state(relay_web_mailbox(post->handoff->webs[worker]), stream, "ending",
                                  "");
    send_to_each(post, stream, 0, close_stream);
}

void relay_lesson_post_news(const RelayLessonPost *post, RelayLessonEntry *entry, const char *type)
{
    const RelayLesson *lesson = entry->lesson;
    relay_lesson_entry_refresh(entry);
    json_t *object = relay_lesson_to_json(lesson);
    g_autofree char *lesson_json = tk_json_dump(object);
    g_autofree char *event = g_strdup_printf("{\"type\":\"%s\",\"lesson\":%s}", type, lesson_json);
    json_decref(object);
    for (guint worker = 0; worker < post->handoff->web_count; worker++) {
        RelayMailbox *web = relay_web_mailbox(post->handoff->webs[worker]);
        relay_audience_mail_event(web, event, lesson->name, lesson->id);
        for (guint i = 0; i < entry->streams->len; i++) {
            const RelayStreamEntry *stream = entry->streams->pdata[i];
            const RelayLessonStream *face = lesson->streams->pdata[i];
            const char *state = face->has_sender ? "live" : "away";
            relay_audience_mail_state(web, stream->handle,
                                      lesson->state == RELAY_LESSON_ENDED ? "ended" : state,
                                      lesson_json);
        }
    }
}

void relay_lesson_post_event(const RelayLessonPost *post, const char *json)
{
    for (guint worker = 0; worker < post->handoff->web_count; worker++)
        relay_audience_mail_event(relay_web_mailbox(post->handoff->webs[worker]), json, NULL, NULL);
}
