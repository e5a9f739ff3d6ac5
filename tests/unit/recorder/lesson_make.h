// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/recover.h"

// A lesson as the relay would send it, from real encoders: a test picture with a keyframe every
// second and ticks with silence between them, packed by tk_cmaf into chunks of a tenth of a second.
typedef struct {
    GBytes *init;
    GPtrArray *chunks; // GBytes; sequence numbers from 1, media time from 0
    gint64 shift_ns;   // that the recorder adds to their media time
} LessonPieces;

#define LESSON_FPS 10
#define LESSON_CHUNKS_PER_S LESSON_FPS
#define LESSON_WALL_NS (1795312800 * G_GINT64_CONSTANT(1000000000)) // captured from here on

// `start_s`: media time of the first chunk. `width` also tells one initialisation segment from
// another.
LessonPieces *lesson_make(guint seconds, guint start_s, guint32 first_sequence, guint width);
void lesson_free(LessonPieces *pieces);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LessonPieces, lesson_free)

// The same lesson as the relay packages it when the pictures of chunks [from, to) are lost: their
// sound in chunks of its own, or all of it in the chunk with the next picture (`to`). Numbers go
// on.
LessonPieces *lesson_blind(const LessonPieces *whole, guint from, guint to, gboolean together);

// Chunks [from, to) as a relay sends them that was started again: it counts them from 1, and media
// time from `zero_s` on; capture times are `late_ns` off.
LessonPieces *lesson_restarted(const LessonPieces *whole, guint from, guint to, guint zero_s,
                               gint64 late_ns);

// Appends pieces to <folder>/<stream>.mp4 and .index, as the recorder would; `init` may be left
// out.
void lesson_store(const char *folder, const char *stream, const LessonPieces *pieces,
                  gboolean with_init, guint from, guint count);

// Salvages the stream `main`. How many entries it has then.
guint lesson_recover(const char *folder);
// Bytes of its media.
gsize lesson_media_size(const char *folder);

// A fresh folder; removed with all in it.
char *lesson_folder_new(void);
void lesson_folder_free(char *folder);

// Runs a program and fails the test unless it ends with 0 and says nothing on stderr. Its output;
// newly allocated.
char *lesson_run(const char *const *argv);
