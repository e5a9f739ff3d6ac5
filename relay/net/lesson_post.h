// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/handoff.h"
#include "relay/net/lesson_entry.h"

// What the main thread tells the workers of a lesson.

typedef struct {
    RelayHandoff *handoff; // borrowed
    RelayIngest *ingest;   // borrowed
    // The ingest has given out the last of the stream, and everything before this call is with the
    // workers. On the main thread, with the desk's owner.
    void (*on_closed)(gpointer owner, RelayStream *stream);
} RelayLessonPost;

// The stream is there on every worker, media time zero at `epoch_wall_ns`.
void relay_lesson_post_open(const RelayLessonPost *post, RelayStream *stream, gint64 epoch_wall_ns);
// Nobody begins at it any more, and what is pending is given out; on_closed follows.
void relay_lesson_post_close(const RelayLessonPost *post, RelayStream *stream);

// To everybody at /events and every viewer of its streams.
void relay_lesson_post_news(const RelayLessonPost *post, RelayLessonEntry *entry, const char *type);
// To everybody at /events.
void relay_lesson_post_event(const RelayLessonPost *post, const char *json);
