// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/index.h"

// Folders on their way out are named so. What a crash left of them is removed at the next start, or
// put back when their deletion was not noted.
#define SHELF_DELETED_SUFFIX ".deleted"

// Deletes a closed recording: its folder gets its name of leaving; a line in deletions.jsonl says
// when, by whom, why, and the checksum of each stream's index, which has those of its pieces; both
// are durable before files and index row go. When one of them fails the recording is as it was, and
// nothing is noted. `by` may be NULL.
gboolean shelf_remove(const char *data, ShelfIndex *index, const RecLesson *lesson, const char *by,
                      const char *reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Keeps room on the disk for the notes of some hundred deletions, so that a full one can be
// emptied.
void shelf_deletions_reserve(const char *data);

// Whether a deletion of that recording was ever noted.
gboolean shelf_was_deleted(const char *data, const char *id);

// Removes such a folder with the files that are ours; says so when others are left.
void shelf_folder_remove(const char *folder);
