// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/lesson_info.h"
#include "relay/core/input.h"

// A lesson as the relay knows it: one object with one id however often its senders drop out. Pure
// state; the main thread owns it, times come in as arguments (wall clock for labels, monotonic for
// deadlines).

typedef enum {
    RELAY_LESSON_LIVE,  // at least one stream has a sender
    RELAY_LESSON_AWAY,  // none has, and the lesson waits for one
    RELAY_LESSON_ENDED, // for good
} RelayLessonState;

const char *relay_lesson_state_word(RelayLessonState state); // "live" …; borrowed, static

// More than a lesson will ever have: main, slides, their renditions, and the class cameras.
#define RELAY_LESSON_STREAMS_MAX 16

typedef struct {
    char *name;
    gboolean has_sender;
    gboolean has_format; // the rest is known
    RelayStreamFormat format;
    guint64 oldest_chunk, newest_chunk; // numbers; 0 = none yet
    gint64 bitrate_bps;
    guint64 packets_in, lost_in, repaired_in; // from its sender, or the relay that it comes from
    gint64 delay_in_ns;                       // of the newest packet since its capture; 0 = unknown
    guint above_width, above_height; // where it comes from another relay: its picture there
    gboolean blind;                  // its sound comes without its pictures
    guint viewers_rtp, viewers_ws;
} RelayLessonStream;

typedef struct {
    char *id;   // ULID
    char *name; // room
    RelayLessonState state;
    TkLessonInfo *info;
    gint64 started_wall_ns, ended_wall_ns;
    gint64 deadline_ns; // away: monotonic time at which the lesson ends by itself
    guint schools;      // distinct schools among the viewers
    GPtrArray *streams; // RelayLessonStream, in order of appearance
} RelayLesson;

// Begins live at `wall_ns`. `id` NULL: a fresh one.
RelayLesson *relay_lesson_new(const char *name, const char *id, gint64 wall_ns);
void relay_lesson_free(RelayLesson *lesson);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayLesson, relay_lesson_free)

// Whether `word` is this lesson's name or id.
gboolean relay_lesson_is(const RelayLesson *lesson, const char *word);

// The stream of that name or NULL; borrowed. `add` makes it, unless there are too many already.
RelayLessonStream *relay_lesson_stream(RelayLesson *lesson, const char *name, gboolean add);

// What the relay that it comes from tells of it; until it comes itself, that is told here as well:
// then TRUE.
gboolean relay_lesson_stream_is_told(RelayLessonStream *stream, const RelayStreamFormat *above);
// What of `main` comes from there; what is not as large as there is its `low`. NULL: it comes from
// no other relay, nothing is known yet, or it is another stream.
const char *relay_lesson_stream_rendition(const RelayLessonStream *stream);

// Each returns whether the lesson's state changed.
// A stream got its sender (again).
gboolean relay_lesson_sender_came(RelayLesson *lesson, RelayLessonStream *stream);
// A stream lost its sender; when it was the last, the lesson waits until now_ns + patience_ns.
gboolean relay_lesson_sender_left(RelayLesson *lesson, RelayLessonStream *stream, gint64 now_ns,
                                  gint64 patience_ns);
gboolean relay_lesson_end(RelayLesson *lesson, gint64 wall_ns);
// Ends it when its patience is over.
gboolean relay_lesson_tick(RelayLesson *lesson, gint64 now_ns, gint64 wall_ns);

// As in docs/protocol.md section 5. New reference.
json_t *relay_lesson_to_json(const RelayLesson *lesson);
