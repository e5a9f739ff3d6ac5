// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/lesson_info.h"
#include "recorder/archive/gap.h"
#include "recorder/archive/verdict.h"

// A recording as lesson.json tells it. One thread at a time.
typedef enum {
    REC_STATE_ARMED,     // the lesson has begun, nothing has come yet
    REC_STATE_RECORDING, // chunks come
    REC_STATE_GAP,       // they came, and do not now
    REC_STATE_CLOSING,   // the lesson is over; the rest is fetched, and the recording sealed
    REC_STATE_CLOSED,    // whole, as far as it will ever be without healing
    REC_STATE_SALVAGED,  // left open by a run that was cut off, and put right since
    REC_STATES
} RecState;

typedef struct {
    char *name;
    char *mime; // NULL until told
    guint width, height;
    gboolean started;        // the members below say something
    gint64 first_ns, end_ns; // media time of the first sample, and behind the last
    guint64 size_bytes;      // of <stream>.mp4
    RecTrail trail;          // what rec_lesson_add_entry was told of; not in lesson.json
} RecStream;

typedef struct {
    char *id, *name;
    RecState state;     // changed by rec_state_set alone
    TkLessonInfo *info; // with the edits
    json_t *edits;      // members of info set by hand in the library; win over the relay's; or NULL
    RecVerdict verdict;
    gint64 started_ns, ended_ns; // wall; 0 = not known
    GPtrArray *streams;          // RecStream
    GPtrArray *gaps;             // RecGap, in order of from_ns within a stream
} RecLesson;

RecLesson *rec_lesson_new(const char *id, const char *name);
void rec_lesson_free(RecLesson *lesson);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecLesson, rec_lesson_free)

// The stream of that name, made when `create`. Borrowed.
RecStream *rec_lesson_stream(RecLesson *lesson, const char *name, gboolean create);

// The relay's word on the lesson, then the edits over it. Unknown members are passed over.
gboolean rec_lesson_set_info(RecLesson *lesson, const json_t *info,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
// Members of info and of the verdict set (null: cleared) by hand; strict.
gboolean rec_lesson_edit(RecLesson *lesson, const json_t *edits,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

// From the first sample of any stream to the end of the last one, gaps included.
gint64 rec_lesson_duration_ns(const RecLesson *lesson);
// Media time of the end of the last sample.
gint64 rec_lesson_end_ns(const RecLesson *lesson);
guint64 rec_lesson_bytes(const RecLesson *lesson);
// Gaps that have not been healed.
guint rec_lesson_open_gaps(const RecLesson *lesson);

// Takes over what the stream's next entry says: extent, and a gap before it; initialisation
// segments only count bytes.
void rec_lesson_add_entry(RecLesson *lesson, RecStream *stream, const RecEntry *entry);
// Forgets a stream's extent and gaps, to be counted anew by rec_lesson_add_entry.
void rec_lesson_reset_stream(RecLesson *lesson, RecStream *stream);

// lesson.json: text newly allocated; loading bounds everything and refuses what it does not know
// to be this program's.
char *rec_lesson_dump(const RecLesson *lesson);
RecLesson *rec_lesson_parse(const char *text, gsize length, GError **error);
RecLesson *rec_lesson_load(const char *folder, GError **error);
// As long as this is the same, so is what rec_lesson_load gives: the file's time, size and inode.
// NULL when there is none. Newly allocated.
char *rec_lesson_stamp(const char *folder);
gboolean rec_lesson_save(const RecLesson *lesson, const char *folder,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

#define REC_LESSON_FILE "lesson.json"
