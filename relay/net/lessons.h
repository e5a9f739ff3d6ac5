// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"
#include "relay/core/lesson.h"
#include "relay/net/conn.h"
#include "relay/net/handoff.h"
#include "relay/net/sdp.h"

// All lessons of this relay: who sends them, what they are called, who is told. Main thread; it is
// the owner of the desk mailbox.

typedef struct _RelayLessons RelayLessons;

typedef struct {
    gint64 away_ns;     // patience with a sender whose connection was lost
    gint64 teardown_ns; // the same after an orderly TEARDOWN
    gint64 stall_ns;    // a sender without media for so long is lost
    guint lessons_max;  // at once
} RelayLessonsLimits;

// `handoff` and `ingest` are borrowed.
RelayLessons *relay_lessons_new(RelayHandoff *handoff, RelayIngest *ingest,
                                const RelayLessonsLimits *limits);
// After the workers have stopped.
void relay_lessons_free(RelayLessons *lessons);

// By name or id: a running lesson, else one that ended a short while ago. Borrowed until the loop.
RelayLesson *relay_lessons_find(RelayLessons *lessons, const char *word);

// A sender wants the stream: begins the lesson when there is none of that name, or goes on with it.
// `conn` becomes its sender. Returns the stream, borrowed; NULL: taken (TK_ERROR_CONFLICT), other
// tracks than before, too many.
RelayStream *relay_lessons_publish(RelayLessons *lessons, const char *name, const char *stream,
                                   const RelayOffer *offer, RelayConn *conn, GError **error);
// `conn` sends no longer. Nothing happens when another one does by now.
void relay_lessons_unpublish(RelayLessons *lessons, RelayStream *stream, RelayConn *conn,
                             gboolean orderly);

typedef enum {
    RELAY_DESCRIBED,
    RELAY_DESCRIBE_LATER, // it is there, but nothing of it has come yet: on_format will tell
    RELAY_DESCRIBE_NEVER, // no such lesson or stream runs here
} RelayDescribed;

// What a viewer needs. Strings and configs are borrowed until the loop.
RelayDescribed relay_lessons_describe(RelayLessons *lessons, const char *word, const char *stream,
                                      RelayStream **ret_stream, RelayDescription *ret);

// Who is told what happens to lessons. Copied; `user` is borrowed for the object's life. Each
// function may be NULL.
typedef struct {
    void (*on_format)(gpointer user, RelayStream *stream); // it can be described from now on
    // Somebody has come to (change 1) or left (-1) a stream of a mirrored lesson, or asked for one
    // of which nothing has come (0).
    void (*on_wanted)(gpointer user, RelayStream *stream, gint change);
    gpointer user;
} RelayLessonsWatcher;
void relay_lessons_watch(RelayLessons *lessons, const RelayLessonsWatcher *watcher);

// Lessons that run on another relay. They stand in the list as they do there.

typedef struct {
    const char *id, *name;
    gint64 started_wall_ns;
    const json_t *info; // object, or NULL
} RelayMirrored;

// Begins it here, or takes over what has changed. FALSE, and nothing done: another lesson has that
// name or id here, or there is no room.
gboolean relay_lessons_mirror(RelayLessons *lessons, const RelayMirrored *mirrored,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
// One of its streams. `live`: its sender is there. `format`: what is told of it until it comes
// itself, or NULL. Borrowed; NULL: too many streams.
RelayStream *relay_lessons_mirror_stream(RelayLessons *lessons, const char *id, const char *stream,
                                         gboolean live, const RelayStreamFormat *format);
void relay_lessons_end_mirrored(RelayLessons *lessons, const char *id);
// `conn` becomes the sender of a stream that was mirrored, whoever was it before. FALSE: it has
// other tracks than before.
gboolean relay_lessons_feed(RelayLessons *lessons, RelayStream *stream, const RelayOffer *offer,
                            RelayConn *conn, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// PATCH semantics of tk_lesson_info_merge_json. What another relay says is changed there
// (TK_ERROR_CONFLICT).
gboolean relay_lessons_edit(RelayLessons *lessons, RelayLesson *lesson, const json_t *info,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean relay_lessons_end(RelayLessons *lessons, RelayLesson *lesson,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;

typedef enum { RELAY_VIEWER_RTP, RELAY_VIEWER_WS } RelayViewerKind;
// A viewer of `stream` came (+1) or left (-1). `school` may be NULL.
void relay_lessons_count_viewer(RelayLessons *lessons, RelayStream *stream, RelayViewerKind kind,
                                gint change, const char *school);

// {"lessons":[…]}, running ones and those ended lately, newest first, as far as `claims` (NULL:
// all) allow viewing them. New reference.
json_t *relay_lessons_list(RelayLessons *lessons, const TkClaims *claims);
// To everybody who follows the events.
void relay_lessons_tell_all(RelayLessons *lessons, const char *event);
// Running lessons; and their viewers when ret_viewers is given.
guint relay_lessons_running(RelayLessons *lessons, guint *ret_viewers);
// Each running stream.
void relay_lessons_foreach(RelayLessons *lessons,
                           void (*each)(gpointer user, const RelayLesson *lesson,
                                        const RelayLessonStream *face, const RelayStream *stream),
                           gpointer user);

// From the ingest worker, through the desk: what the stream is.
void relay_lessons_post_format(RelayMailbox *desk, RelayStream *stream,
                               const RelayStreamFormat *format,
                               GBytes *const configs[RELAY_INPUT_TRACKS_MAX]);
