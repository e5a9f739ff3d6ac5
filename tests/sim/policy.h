// SPDX-License-Identifier: MIT
#pragma once

#include "tests/sim/hall.h"

// What a lesson that is over must have been for its viewers, whatever moved them and when.

typedef struct {
    guint sounds, missing; // frames of sound since it began; that never came
    gint64 latest_ms; // how late one came at most, while its line was as it had been for a while
    guint moves_a_minute; // at most
} Story;

// So long a line must have carried the sound for what was queued to be through.
#define POLICY_SETTLED_MS 12000

Story policy_tell(const Watcher *watcher);
// Fails where the story is none of those that are promised.
void policy_check(const Watcher *watcher, const Story *story);
