// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/source.h"

// One lesson being recorded: its folder, its lesson.json, a source per stream. Main thread only.
typedef struct _RecSession RecSession;

typedef struct {
    // The recording is closed and durable. The session may be freed from inside.
    void (*on_closed)(RecSession *session, void *user);
} RecSessionHandler;

// Goes on with `lesson` (taken) in `folder`, which exists. `stream_rule`: names of streams that are
// recorded, with * and ?, separated by spaces; borrowed, as are the pointers after it.
RecSession *rec_session_new(RecLesson *lesson, const char *folder, const char *stream_rule,
                            RecWriter *writer, const TkWebTarget *target,
                            const RecSessionHandler *handler, void *user);
// Leaves the recording as it is, to be gone on with at the next start.
void rec_session_free(RecSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecSession, rec_session_free)

// What the relay says of the lesson now (docs/protocol.md section 5); `event` (borrowed) stands in
// events.jsonl.
void rec_session_update(RecSession *session, const char *event, const json_t *lesson);

// The lesson is over; `ended_ns` 0: it is not known since when.
void rec_session_end(RecSession *session, gint64 ended_ns);

// Whether rec_session_end was called: it takes no updates any more.
gboolean rec_session_ended(const RecSession *session);

// As rec_lesson_edit, saved soon.
gboolean rec_session_edit(RecSession *session, const json_t *edits,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Borrowed; changes with each chunk.
const RecLesson *rec_session_lesson(const RecSession *session);

// Whether the lesson has changed since this was last asked.
gboolean rec_session_take_changed(RecSession *session);
