// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/cmaf_read.h"

// What stands on the disk: docs/recording-format.md. Pure but for the file helpers at the end.

// One line of <stream>.index: a piece of <stream>.mp4.
typedef enum {
    REC_ENTRY_KEY = 1 << 0,  // a player can begin here
    REC_ENTRY_INIT = 1 << 1, // an initialisation segment
    // Delivered later from the capture's copy (heal.h). Its mfhd number is 0; its entry has that of
    // the relay's chunk before it, or 0.
    REC_ENTRY_HEALED = 1 << 2,
    // Of sound alone, in a stream that has pictures.
    REC_ENTRY_SOUND = 1 << 3,
    // Its sound begins more than REC_SOUND_FIRST_NS before its pictures do.
    REC_ENTRY_SOUND_FIRST = 1 << 4,
} RecEntryFlags;

typedef struct {
    guint64 offset;     // in <stream>.mp4, bytes
    gint64 media_ns;    // decode time of its first sample; zero is the lesson's start
    gint64 duration_ns; // of its first run; 0 for an initialisation segment
    gint64 wall_ns;     // when its first sample was captured; 0 = not known
    guint32 sequence;   // mfhd; initialisation segment: of the first chunk that needs it
    guint32 bytes;
    guint32 flags; // RecEntryFlags
    guint32 crc;   // CRC-32 (IEEE 802.3) of the bytes
} RecEntry;

#define REC_INDEX_HEADER                                                                           \
    "# tongke-index 1: sequence offset bytes flags media_ns duration_ns wall_ns crc32"             \
    " (flags: k keyframe, i initialisation segment, h and H the same of - and k, healed;"          \
    " behind it s sound alone, f sound first)\n"

// Since the machine was started anew what stands behind the index may never have reached the disk
// whole, however whole it looks; so whoever writes an index begins with a line that names his boot.
#define REC_INDEX_BOOT "# boot "

// A relay that was started again counts chunks and media time anew: from the piece at `offset` on,
// media time is that since `started_ns`. A line of its own, durable before that piece is there.
#define REC_INDEX_RELAY "# relay "
typedef struct {
    gint64 started_ns; // wall clock
    guint64 offset;    // in <stream>.mp4
} RecCounting;

// A hole in media time longer than this is a gap; shorter ones are jitter.
#define REC_GAP_MIN_NS (500 * G_GINT64_CONSTANT(1000000))
// Sound that leads its pictures by so much tells that pictures were missing, and not both.
#define REC_SOUND_FIRST_NS (REC_GAP_MIN_NS / 2)

// A longer piece is refused: 100 ms of media with the largest frame and room to spare.
#define REC_PIECE_BYTES_MAX (16u << 20)

// The most that can wait to be synced: what the writer's queue holds.
#define REC_UNSYNCED_BYTES_MAX (64u << 20)

// A stretch on its way from a capture, and the order to put healed files in place (heal.h).
#define REC_UPLOAD_SUFFIX ".upload"
#define REC_HEAL_FILE "heal.json"

guint32 rec_crc32(const guint8 *data, gsize size);

// Appends the entry's line, newline included.
void rec_entry_format(const RecEntry *entry, GString *out);
// One line without its newline.
gboolean rec_entry_parse(const char *line, gsize length, RecEntry *ret) G_GNUC_WARN_UNUSED_RESULT;

// Describes a chunk by its bytes and the initialisation segment that it needs. `shift_ns` is added
// to its own media time: a relay that was restarted counts anew from its own start. Fails when a
// track is unknown or times are beyond any lesson. offset is left 0.
gboolean rec_entry_from_chunk(const TkCmafInit *init, const TkCmafChunk *chunk, const guint8 *data,
                              gint64 shift_ns, RecEntry *ret) G_GNUC_WARN_UNUSED_RESULT;

// By how much an entry's media time is shifted from what stands in its chunk, at `data`.
gboolean rec_entry_shift(const TkCmafInit *init, const RecEntry *entry, const guint8 *data,
                         gint64 *ret_shift_ns) G_GNUC_WARN_UNUSED_RESULT;

// Whether `after` was numbered anew: by a relay that was restarted.
static inline gboolean rec_entry_restarts(const RecEntry *before, const RecEntry *after)
{
    return !((before->flags | after->flags) & REC_ENTRY_HEALED) &&
           after->sequence <= before->sequence;
}

static inline gint64 rec_entry_end_ns(const RecEntry *entry)
{
    return entry->media_ns + entry->duration_ns;
}

// Appends the whole lines that stand in the file from *at on (*at moves behind them), skipping the
// header. Stops without error at the first line that is no entry or does not lie behind the one
// before it; *ret_clean (may be NULL) tells whether all bytes were good.
gboolean rec_index_read(const char *path, GArray *entries, guint64 *at, gboolean *ret_clean,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;

// What follows a line that stopped rec_index_read at `at`: appends all that are entries, in
// whatever order, to be held against the media. *ret_torn_bytes: of the index's end, that are no
// lines.
gboolean rec_index_read_rest(const char *path, guint64 at, GArray *entries, guint64 *ret_torn_bytes,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

// This boot of the machine. Static.
const char *rec_boot_id(void);
// The boot in which an index was last written to; NULL: it does not say. Newly allocated.
char *rec_index_boot(const char *path);

// The last counting anew of which something stands in `media_bytes`. FALSE: there was none.
gboolean rec_index_counting(const char *path, guint64 media_bytes,
                            RecCounting *ret) G_GNUC_WARN_UNUSED_RESULT;
// Appends its line.
void rec_counting_format(const RecCounting *counting, GString *out);

// <data>/lessons/2026/11/<id>: year and month (UTC) are those inside the id. Newly allocated.
char *rec_folder_path(const char *data, const char *id);

// <folder>/<stream>.<suffix>. Newly allocated.
char *rec_stream_path(const char *folder, const char *stream, const char *suffix);

// Whether a recording's folder may hold a file of that name by us.
gboolean rec_file_is_ours(const char *name);

// Makes the folder and its parents durable.
gboolean rec_folder_make(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Replaces a file atomically and durably: temporary file, fsync, rename, fsync of the folder.
gboolean rec_file_replace(const char *path, const char *data, gsize size,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Writes all of it or sets errno and returns FALSE.
gboolean rec_write_all(int fd, const void *data, gsize size) G_GNUC_WARN_UNUSED_RESULT;

// Makes a folder's entries durable.
gboolean rec_folder_sync(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;
