// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// Has stills made of recordings, one after the other, by the program tongke-study that stands
// beside this one. What goes wrong there is logged there. Main thread only.
typedef struct _RecPosters RecPosters;

#define REC_POSTERS_QUEUE_MAX 1000 // more wait for the next lesson's end

// `data`: the library's folder, borrowed.
RecPosters *rec_posters_new(const char *data);
// Ends the program that runs.
void rec_posters_free(RecPosters *posters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecPosters, rec_posters_free)

// Tells of a recording that has changed: a still is made once it is REC_POSTER_AFTER_NS long, and
// again when it has been closed.
#define REC_POSTER_AFTER_NS (10 * G_GINT64_CONSTANT(1000000000))
void rec_posters_consider(RecPosters *posters, const RecLesson *lesson);
