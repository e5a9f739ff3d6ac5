// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/config.h"
#include "recorder/library/index.h"

// Deletes recordings when their time has come: group [retention]. Main thread only.
typedef struct _RecRetain RecRetain;

#define REC_RETAIN_FIRST_S 60 // after the start
#define REC_RETAIN_EVERY_H 6  // after that
#define REC_RETAIN_BATCH 100  // looked at before others have their turn

RecRetention rec_retain_rules(const TkConfig *config);
gboolean rec_retain_any(const RecRetention *rules);

// Called for each recording that is due, before it goes. Borrowed.
typedef void (*RecRetainTell)(const RecLesson *lesson, const char *reason, void *user);

typedef struct {
    guint due;
    guint failed; // of them: could not be deleted, as the log says of each
} RecRetainCounts;

// All at once. `dry`: nothing is deleted.
gboolean rec_retain_run(const char *data, ShelfIndex *index, const RecRetention *rules,
                        gboolean dry, RecRetainTell tell, void *user, RecRetainCounts *ret,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

// By the clock, in batches. All pointers are borrowed. NULL when there are no rules.
RecRetain *rec_retain_new(const char *data, ShelfIndex *index, const RecRetention *rules);
void rec_retain_free(RecRetain *retain);
