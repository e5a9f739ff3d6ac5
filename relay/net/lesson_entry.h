// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/lesson.h"
#include "relay/net/conn.h"
#include "relay/net/sdp.h"

// A lesson as the main thread keeps it: the pure lesson (what is told of it), and beside each of
// its streams the handle that the workers know. Main thread only.

typedef struct {
    RelayStream *handle;
    RelayConn *sender;  // a reference, or NULL
    guint tracks_count; // 0 = not known yet
    TkTrackKind kinds[RELAY_INPUT_TRACKS_MAX];
    guint32 clock_rates[RELAY_INPUT_TRACKS_MAX];
    GBytes *configs[RELAY_INPUT_TRACKS_MAX]; // NULL until the first keyframe
    gint64 began_ns, measured_ns;
    guint64 measured_bytes;
} RelayStreamEntry;

typedef struct {
    RelayLesson *lesson;
    GPtrArray *streams;  // RelayStreamEntry, parallel to lesson->streams
    GHashTable *schools; // name -> number of viewers
    gboolean mirrored;   // it runs on another relay, which alone says how it is with it
    gboolean odd_record; // mirrored: its record there cannot be kept here
    gboolean lapsed;     // ended because its senders stayed away; they may come back with its id
    guint closing;       // ended: streams whose last media is still on its way out
    gint64 forget_ns;    // ended: when to drop it
} RelayLessonEntry;

// `id` NULL: a fresh one.
RelayLessonEntry *relay_lesson_entry_new(const char *name, const char *id, gint64 wall_ns);
void relay_lesson_entry_free(gpointer entry);

// NULL: there is none of that name. `entry` may be NULL.
RelayStreamEntry *relay_lesson_entry_stream(const RelayLessonEntry *entry, const char *name);
// The same stream as the pure lesson has it; borrowed.
RelayLessonStream *relay_lesson_entry_face(const RelayLessonEntry *entry,
                                           const RelayStreamEntry *stream);
// NULL: the lesson has too many streams.
RelayStreamEntry *relay_lesson_entry_add(RelayLessonEntry *entry, const char *name);

// A stream's tracks are those that it began with: FALSE when these are others.
gboolean relay_stream_entry_take_tracks(RelayStreamEntry *stream, const RelayOffer *offer,
                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

// When something last came of the stream, or its sender began; monotonic.
gint64 relay_stream_entry_heard_ns(const RelayStreamEntry *stream);

// A viewer of the stream came (+1) or left (-1). `school` may be NULL.
void relay_lesson_entry_count_school(RelayLessonEntry *entry, const char *school, gint change);

// Numbers that others count, put into the lesson just before it is shown.
void relay_lesson_entry_refresh(RelayLessonEntry *entry);
// Bit rates, every two seconds.
void relay_lesson_entry_measure(RelayLessonEntry *entry, gint64 now_ns);
