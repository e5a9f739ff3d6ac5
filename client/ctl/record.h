// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"

// "title=函数的单调性" … as the body of a PATCH request; "title=" clears. Refuses fields that a
// lesson's record has not; `decides`: but review, consent and keep (yes, no), which recordings
// have. New reference.
json_t *ctl_record_patch(char *const *assignments, gboolean decides, GError **error);

// Prints `answer` whole, or its text when there is nothing to put into columns.
void ctl_record_print(const json_t *answer, gboolean as_json);

// "/api/v1/<collection>/<name>" with `name` checked, then `tail`. Newly allocated, or NULL.
char *ctl_record_path(const char *collection, const char *name, const char *tail, GError **error);
