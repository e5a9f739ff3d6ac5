// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/api.h"

// A capture delivers what a recording lacks (docs/api.md): it asks, uploads, and has it healed.

// One body; the largest of any request.
#define SHELF_UPLOAD_BYTES_MAX (256u << 10)

// What was told to whom asked; forgotten by a restart, after which captures ask again. One thread.
ShelfUploads *shelf_uploads_new(void);
void shelf_uploads_free(ShelfUploads *uploads);

// Whether a recording is being healed: then nothing else may change its files.
gboolean shelf_uploads_busy(const ShelfUploads *uploads, const char *id);

// POST …/<id>/missing. `lesson` NULL: there is no such recording; when it is one of ours, it is
// made.
ShelfReply *shelf_upload_missing(const ShelfApi *api, const ShelfRequest *request, const char *id,
                                 const RecLesson *lesson);
// PATCH …/<id>/missing/<stream>/<key>?offset=
ShelfReply *shelf_upload_append(const ShelfApi *api, const ShelfRequest *request,
                                const RecLesson *lesson, const char *stream, const char *key);
// POST …/<id>/heal
ShelfReply *shelf_upload_heal(const ShelfApi *api, const ShelfRequest *request,
                              const RecLesson *lesson);
