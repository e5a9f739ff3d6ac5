// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"

// A request and its answer, without the HTTP library: what serve.c hands in and sends out.

typedef struct {
    const char *method;      // "GET" also for HEAD
    const char *path;        // still percent-encoded
    GHashTable *query;       // decoded name → value
    const char *query_token; // the token as it stood in the URL, or NULL
    GBytes *body;            // may be empty
    gboolean loopback;       // the peer is this machine
    gboolean door;           // a key is set: claims are needed
    const TkClaims *claims;  // NULL: none that are valid
} ShelfRequest;

typedef struct _ShelfReply ShelfReply;
struct _ShelfReply {
    guint status;
    const char *content_type; // static
    GBytes *head;             // the answer begins with these bytes; may be NULL
    int fd;                   // and goes on with `file_bytes` from `file_offset` of this; or -1
    guint64 file_offset, file_bytes;
    gboolean ranges; // parts may be asked for
    // Above 0: who knows the address may have it, so that any cache may keep it for so long, s.
    gint64 max_age_s;
    gint64 stale_s;     // and so much longer while it asks for what is new
    gboolean immutable; // what stands at this address never changes
    char *etag;         // without quotes; or NULL
    char *filename;     // to be saved under; or NULL
    char *location;     // of a redirection; or NULL

    // When set, runs on a thread of its own before the answer is sent; it may fill in all of it.
    void (*work)(ShelfReply *reply);
    // When set too, runs behind it on the main thread.
    void (*finish)(ShelfReply *reply);
    void *work_data;
    GDestroyNotify work_free;
};

ShelfReply *shelf_reply_new(guint status, const char *content_type, GBytes *head);
ShelfReply *shelf_reply_text(guint status, const char *content_type, char *text); // text is taken
ShelfReply *shelf_reply_error(const GError *error);
// The body: up to `bytes` of a file from `offset` on. TK_ERROR_NOT_FOUND or TK_ERROR_IO.
gboolean shelf_reply_open(ShelfReply *reply, const char *path, guint64 offset, guint64 bytes,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
// Turns a reply into a problem document.
void shelf_reply_fail(ShelfReply *reply, const GError *error);
void shelf_reply_free(ShelfReply *reply);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfReply, shelf_reply_free)

guint64 shelf_reply_bytes(const ShelfReply *reply);

// What a Range header (RFC 9110 section 14.2) asks of `total` bytes.
typedef enum { SHELF_RANGE_NONE, SHELF_RANGE_PART, SHELF_RANGE_UNSATISFIABLE } ShelfRange;
// One range only; what is malformed or asks for several is NONE: all is sent.
ShelfRange shelf_range_parse(const char *header, guint64 total, guint64 *ret_from,
                             guint64 *ret_bytes);

// Up to `max` bytes of the answer from `at`. New; NULL when the file cannot be read.
GBytes *shelf_reply_read(const ShelfReply *reply, guint64 at, gsize max);
