// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

#include "common/base/lesson_info.h"

// The local copy: what the encoders make, whether or not it reaches a relay, so that the library
// can be given later what it lacks. A folder for each lesson:
//
//     DIR/<lesson id>/lesson.json                what the lesson is, and whether it is delivered
//     DIR/<lesson id>/main-<wall ms>.mp4 …       half a minute each, playable; named by when it
//     begins
//
// Everything is written by one thread and synced each second; what a crash leaves half written at a
// file's end is passed over. All copies together are a ring of bounded size and age: the oldest go
// first, those that are delivered before all others.
typedef struct _CapKeep CapKeep;
typedef struct _CapKeepStream CapKeepStream;

typedef struct {
    const char *folder;
    guint64 bytes_max;
    gint64 age_max_ns;
} CapKeepRules;

#define CAP_KEEP_FILE "lesson.json"
#define CAP_KEEP_LOCK "lock"
#define CAP_KEEP_SEGMENT_DIGITS 13 // of milliseconds since 1970, until the year 2286

// Begins the copy of a lesson, or goes on with that of one that was sent to the same address until
// less than CAP_KEEP_RESUME_S ago and not ended. `lesson_id` NULL: it is found out.
#define CAP_KEEP_RESUME_S 300 // as long as a relay waits for a sender that was lost
CapKeep *cap_keep_new(const CapKeepRules *rules, const char *relay, const char *lesson_id,
                      const TkLessonInfo *info, GError **error);
// Writes what is queued and syncs it. `over`: the lesson was ended, not cut off.
void cap_keep_free(CapKeep *keep, gboolean over);

// Of the lesson. Borrowed.
const char *cap_keep_lesson_id(const CapKeep *keep);

// A stream of it; the keep's own. Pads' clock and base time, as of the pipelines that feed it.
CapKeepStream *cap_keep_stream(CapKeep *keep, const char *name, gboolean has_sound, GstClock *clock,
                               GstClockTime base_time);
// Once all streams are there: media is taken from here on.
void cap_keep_begin(CapKeep *keep);
// Taps (common/gst/joint.h) for coded pictures and sound; `user` is the stream.
void cap_keep_picture(void *user, GstBuffer *buffer, GstCaps *caps);
void cap_keep_sound(void *user, GstBuffer *buffer, GstCaps *caps);
