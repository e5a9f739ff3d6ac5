// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// The recorder's one writing thread. Sources post pieces from the main thread; the thread appends
// them and makes them durable every `sync_ms`: first the media, then the index lines that speak of
// it. The queue is bounded in bytes: when the disk cannot keep up, rec_file_append says no, and the
// source asks the relay again for that chunk later (?from=), so that nothing is lost silently.
// All functions are for the main thread; call-backs come on the thread-default main context of
// the thread that made the writer.
typedef struct _RecWriter RecWriter;

#define REC_WRITER_QUEUE_BYTES_MAX REC_UNSYNCED_BYTES_MAX
#define REC_WRITER_SYNC_MS_MAX 1000 // at most one second is lost by a power cut

RecWriter *rec_writer_new(guint sync_ms);
// Writes and syncs all that is queued, then ends the thread. Call-backs not yet made are dropped.
void rec_writer_free(RecWriter *writer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecWriter, rec_writer_free)

// A stream's media file and its index.
typedef struct _RecFile RecFile;

// The first error of a file, which has been logged; it is cut back to its last whole piece and
// takes nothing more until it is closed, recovered and opened again.
typedef void (*RecFailFunc)(void *user);

// Opens (or makes) <folder>/<stream>.mp4, which is `media_bytes` long, and its index. `user` is
// borrowed until rec_file_close.
RecFile *rec_writer_open(RecWriter *writer, const char *folder, const char *stream,
                         guint64 media_bytes, RecFailFunc on_fail, void *user, GError **error);

// Queues a piece; entry->offset is where it will stand. FALSE: the queue is full or the file has
// failed, and nothing was queued.
gboolean rec_file_append(RecFile *file, GBytes *piece,
                         const RecEntry *entry) G_GNUC_WARN_UNUSED_RESULT;

// Notes that the relay counts anew from the next piece on, which will stand at counting->offset.
// Durable before that is written.
void rec_file_counting(RecFile *file, const RecCounting *counting);

// Syncs and closes after what is queued. on_fail is not called any more. NULL is passed over.
void rec_file_close(RecFile *file);

// Replaces `path` by `text` (taken) atomically, after all that was queued before has been synced.
// What the disk refuses is tried again each second, until there is a newer text or it is taken.
void rec_writer_replace(RecWriter *writer, const char *path, char *text);
// Appends `line` (taken; newline added) to `path`; not synced.
void rec_writer_note(RecWriter *writer, const char *path, char *line);
// Calls `done` when all that was queued before is durable or has failed; on_fail comes first.
void rec_writer_after(RecWriter *writer, void (*done)(void *user), void *user);

typedef struct {
    guint64 pieces, bytes; // written since the start
    guint64 failures;
    gint64 failed_ns;      // when the last of them was, monotonic; 0: never
    gint64 failed_wall_ns; // the same, to be shown
    guint64 syncs;         // fdatasync calls for pieces and their lines
    guint64 late;          // files that were made durable later than REC_WRITER_SYNC_MS_MAX
    gint64 slowest_ns;     // from a piece's coming to its being durable, at most, since the start
    gsize queued_bytes;
    gint64 unsynced_ns; // age of the oldest piece that is not durable yet
} RecWriterStats;
void rec_writer_stats(RecWriter *writer, RecWriterStats *ret);
// Counts what the disk refused before this could try, such as a folder.
void rec_writer_count_failure(RecWriter *writer);
