// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <jansson.h>

// The copies that lie in a folder (keep.h), to be chosen from, delivered and thrown away.

typedef struct {
    char *path;
    char *stream;
    gint64 wall_ns; // of its beginning
    guint64 bytes;
} CapSegment;

// The files of one lesson (`stream` NULL: of all its streams), oldest first. New array.
GArray *cap_segments_list(const char *folder, const char *stream);

// lesson.json of a lesson's folder. New; NULL when there is none that can be read.
json_t *cap_copy_load(const char *folder);
gboolean cap_copy_save(const char *folder, const json_t *lesson, GError **error);
// Lessons' folders, oldest first: ids are sorted by time. Newly allocated.
char **cap_copy_folders(const char *folder);

// A lesson's folder for this program alone: what is written, delivered or removed is locked. A
// descriptor, to be closed; -1: somebody else has it, or it cannot be.
int cap_copy_lock(const char *folder) G_GNUC_WARN_UNUSED_RESULT;

// Throws away what is over `bytes_max` or older than `oldest_ns`; never a file that was begun in
// the last minute, nor a folder that is locked.
void cap_copies_trim(const char *folder, guint64 bytes_max, gint64 oldest_ns);

// What the copy of a stream reaches over. FALSE: there is none.
gboolean cap_copy_extent(const char *folder, const char *stream, gint64 *ret_from_ns,
                         gint64 *ret_to_ns);

// The stretch [from, to] of a stream with a few seconds around it, as it is sent.
typedef struct {
    char *path;
    guint64 offset, bytes;
} CapSlice;
// New array of CapSlice: an initialisation segment, then chunks from a keyframe on.
GArray *cap_copy_cut(const char *folder, const char *stream, gint64 from_ns, gint64 to_ns);
