// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/index.h"

// Folders on their way out are named so; what a crash left of them is removed at the next start.
#define SHELF_DELETED_SUFFIX ".deleted"

// Deletes a closed recording: first a line in deletions.jsonl (when, by whom, why, and the checksum
// of each stream's index, which has those of its pieces), then media, derived files and index rows.
// `by` may be NULL.
gboolean shelf_remove(const char *data, ShelfIndex *index, const RecLesson *lesson, const char *by,
                      const char *reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Removes such a folder with the files that are ours; says so when others are left.
void shelf_folder_remove(const char *folder);
