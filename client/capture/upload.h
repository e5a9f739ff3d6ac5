// SPDX-License-Identifier: MIT
#pragma once

#include <gio/gio.h>

#include "common/base/json.h"

// Requests to a library or a relay, one at a time; blocking.
typedef struct _CapUploader CapUploader;

CapUploader *cap_uploader_new(const char *token, GCancellable *cancellable);
void cap_uploader_free(CapUploader *uploader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapUploader, cap_uploader_free)

// The answer's JSON (new), or NULL: *ret_status is the HTTP status, 0 when there was no answer.
// `body` may be NULL.
json_t *cap_upload_ask(CapUploader *uploader, const char *method, const char *url,
                       const json_t *body, guint *ret_status, GError **error);

// Sends `slices` (GArray of CapSlice) to `url`, from byte `received` on, which is what the server
// has. FALSE: try again later; what has come is there to go on with.
gboolean cap_upload_send(CapUploader *uploader, const char *url, const GArray *slices,
                         guint64 received, guint *ret_status, GError **error);

guint64 cap_slices_bytes(const GArray *slices);
// Hexadecimal, newly allocated; NULL when a file cannot be read.
char *cap_slices_sha256(const GArray *slices);
