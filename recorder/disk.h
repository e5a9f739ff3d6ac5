// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// Whether there is room for a lesson before it begins. Main thread only.

typedef enum {
    REC_DISK_ROOM, // for another lesson
    REC_DISK_LOW,  // for those that are being recorded: another one is not begun
    REC_DISK_FULL, // the reserve is being used up
    REC_DISK_LEVELS
} RecDiskLevel;

typedef struct {
    guint64 reserve_bytes; // that lessons leave free
    guint64 lesson_bytes;  // that a lesson is expected to take
} RecDiskRules;

// `free_bytes` are there now; the lessons that are being recorded are still to take `open_bytes`.
RecDiskLevel rec_disk_judge(const RecDiskRules *rules, guint64 free_bytes, guint64 open_bytes);

// What a lesson that has taken `size_bytes` so far is still to take.
guint64 rec_disk_expected(const RecDiskRules *rules, guint64 size_bytes);

// "room", "low", "full". Static.
const char *rec_disk_word(RecDiskLevel level);

// Free bytes where `path` is; G_MAXUINT64 when that cannot be asked.
guint64 rec_disk_free(const char *path);
