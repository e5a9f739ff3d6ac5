// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/index.h"

// Goes through the folders of the library at the start: what an earlier run left open or half
// deleted is put right, and the index is made to agree with the folders. Nothing that is not the
// recorder's is touched.

// `lesson` is taken, `folder` borrowed.
typedef void (*RecScanOpenFunc)(RecLesson *lesson, const char *folder, void *user);

typedef struct {
    guint folders, put, removed, failed;
} RecScanCounts;

// `all`: every recording is read again, else only those that were not closed or whose lesson.json
// is not the one that the index has read.
// `on_open` (may be NULL) gets those that were being recorded, once all went well.
gboolean rec_scan(const char *data, ShelfIndex *index, gboolean all, RecScanOpenFunc on_open,
                  void *user, RecScanCounts *ret, GError **error) G_GNUC_WARN_UNUSED_RESULT;
