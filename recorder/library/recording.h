// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/api.h"

// Recordings as docs/api.md shows them, and what is done to them.

// The list, by the request's query.
ShelfReply *shelf_recording_list(const ShelfApi *api, const ShelfRequest *request);

// One of them. `query` (NULL: none) fills in `match`. New reference.
json_t *shelf_recording_json(const ShelfApi *api, const RecLesson *lesson, const char *folder,
                             const char *query);

ShelfReply *shelf_recording_patch(const ShelfApi *api, RecLesson *lesson, GBytes *body);
ShelfReply *shelf_recording_delete(const ShelfApi *api, const RecLesson *lesson,
                                   const ShelfRequest *request);

// Whether the request may act as `role` on the lesson (NULL: on the list); TK_ERROR_UNAUTHORIZED
// or TK_ERROR_FORBIDDEN.
gboolean shelf_request_allowed(const ShelfRequest *request, TkRole role, const RecLesson *lesson,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
