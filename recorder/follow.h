// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"
#include "recorder/disk.h"
#include "recorder/session.h"

// Since when the relay's events have not been followed.
typedef struct {
    gint64 since_wall_ns; // 0: they are
    gboolean refused;     // the relay does not let the recorder in
} RecFollowDown;

// Follows the relay's events and keeps a session for each lesson that the rules name. Main thread
// only.
typedef struct _RecFollow RecFollow;

typedef struct {
    const char *data;    // the library's folder
    const char *lessons; // names of lessons that are recorded, with * and ?, separated by spaces
    const char *streams; // the same for streams
    RecDiskRules disk;
} RecFollowRules;

typedef struct {
    // A recording has begun, changed or closed. Borrowed for the call. At most every 2 s each.
    void (*on_lesson)(const RecLesson *lesson, void *user);
} RecFollowHandler;

// All pointers are borrowed for the object's life.
RecFollow *rec_follow_new(const RecFollowRules *rules, RecWriter *writer, const TkWebTarget *target,
                          const RecFollowHandler *handler, void *user);
// Open recordings stay open on the disk, to be gone on with at the next start.
void rec_follow_free(RecFollow *follow);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecFollow, rec_follow_free)

// A recording (taken) that an earlier run left open in `folder`.
void rec_follow_resume(RecFollow *follow, RecLesson *lesson, const char *folder);

// NULL when `id` is not being recorded. Borrowed.
RecSession *rec_follow_session(RecFollow *follow, const char *id);

guint rec_follow_count(const RecFollow *follow);
// Lessons that wait for room on the disk, or for their folder.
guint rec_follow_waiting(const RecFollow *follow);
// The names of `max` of them at most, of those that `claims` may send (NULL: all). New array.
json_t *rec_follow_waiting_names(const RecFollow *follow, const TkClaims *claims, guint max);
RecDiskLevel rec_follow_disk(const RecFollow *follow);
gboolean rec_follow_connected(const RecFollow *follow);
// What the last try came to.
RecFollowDown rec_follow_down(const RecFollow *follow);
