// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// What a recording is doing: docs/recording-format.md.

// The word for it, the same in lesson.json, in the API and in the log. Static.
const char *rec_state_word(RecState state);
// FALSE: no word for any.
gboolean rec_state_parse(const char *word, RecState *ret) G_GNUC_WARN_UNUSED_RESULT;

// Whether the one may follow the other.
gboolean rec_state_allowed(RecState from, RecState to);

// The only way to change a lesson's state: logs old, new and `why`. A step that is not allowed is a
// mistake of ours: it is logged as an error and not taken. FALSE: nothing has changed.
gboolean rec_state_set(RecLesson *lesson, RecState state, const char *why);
