// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// Healing: what a recording lacks is put in from the capture's own copy. docs/architecture.md tells
// why it is done so; docs/recording-format.md how it looks on the disk.
//
// A patch is the capture's copy of the stretch and of some seconds around it, as one fragmented MP4
// whose prft boxes tell the capture's wall clock. Its samples are the very bytes that the relay
// got, so the last samples before the gap and the first behind it are looked for in it: that tells
// the place to the sample and proves that it is the same lesson.

// A recording that begins later, or ends earlier, than the copy by less than this lacks nothing:
// the copy begins before the relay has answered.
#define REC_HEAL_END_NS (2 * G_GINT64_CONSTANT(1000000000))

// A stretch that is missing, in media time; `from_ns` may be negative (before what was recorded).
typedef struct {
    gint64 from_ns, to_ns;
    guint before, after; // entries around it; REC_HEAL_NONE. What is between is sound alone, and
                         // gives way to the copy's pictures and the same sound
    char key[24];        // its name in URLs and files: "head", or from_ns in ms
    gboolean pictures;   // pictures are missing, whatever else is
} RecHole;
#define REC_HEAL_NONE G_MAXUINT

// What the stream lacks of [from, to), which the capture has. New array of RecHole, in order.
GArray *rec_heal_holes(const GArray *entries, gint64 from_ns, gint64 to_ns);

typedef struct {
    const char *stream;
    const char *key;
    const char *path;      // of the patch
    gint64 from_ns, to_ns; // what the capture has of the stream, as it was for rec_heal_holes
    char *refused;         // set by rec_heal_prepare when it does not fit: why, newly allocated
} RecPatch;

typedef struct {
    gint64 started_ns; // of the lesson, as lesson.json has it: where walls become media time
    gint64 skew_ns;    // added to the capture's clock
} RecHealRules;

// Makes <stream>.mp4.new and <stream>.index.new of all streams that change, synced and read back;
// nothing that stands is touched. `lesson` is the recording's and left alone. *ret_moved_ns: by how
// much media time moves, when a patch begins before the lesson did. A patch that does not fit is
// left out. For a thread that nobody waits for. FALSE: none fits, or the disk refuses; then
// nothing of it is left.
gboolean rec_heal_prepare(const char *folder, const RecLesson *lesson, const RecHealRules *rules,
                          RecPatch *patches, guint count, gint64 *ret_moved_ns,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Puts what was prepared in place: notes it in REC_HEAL_FILE, which makes it durable as a whole,
// and renames. Then lesson.json is
// counted anew; `lesson` (as it stands in the folder) is left alone.
gboolean rec_heal_commit(const char *folder, const RecLesson *lesson, gint64 moved_ns,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Ends a healing that was cut off: what was to be put in place is, and what was prepared only is
// removed. At the start, before a recording is looked at, and while nobody heals it.
gboolean rec_heal_finish(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Removes what was prepared. FALSE: it is to be put in place, which rec_heal_finish does.
gboolean rec_heal_discard(const char *folder);
