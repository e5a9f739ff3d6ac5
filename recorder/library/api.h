// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/grant.h"
#include "recorder/library/index.h"
#include "recorder/library/replay.h"
#include "recorder/library/reply.h"

typedef struct _ShelfUploads ShelfUploads;

// What was asked for of HLS: behind a cache, how well that works.
typedef struct {
    guint64 playlists, segments;
} ShelfPlayed;

// The library's HTTP API (docs/api.md) as a function from request to reply.
typedef struct {
    const char *data; // the library's folder
    ShelfIndex *index;
    ShelfReplay *replay;
    const ShelfGrants *grants;
    ShelfPlayed *played; // counted here; may be NULL
    gint64 *search_ns;   // the longest search so far is noted here; may be NULL

    // A recording that is being written is changed by who writes it. *ret_running says whether
    // `id` is one; if not, nothing is done.
    gboolean (*edit)(void *user, const char *id, const json_t *edits, gboolean *ret_running,
                     GError **error);
    // Whether the recording is being written.
    gboolean (*running)(void *user, const char *id);
    // Whether lessons of that name are recorded here.
    gboolean (*wanted)(void *user, const char *name);
    // Free bytes on the disk beyond the reserve.
    guint64 (*spare)(void *user);
    // A recording that is not being written has changed.
    void (*changed)(void *user, const RecLesson *lesson);
    ShelfUploads *uploads;
    // NULL: ready, else what is missing. Static.
    const char *(*not_ready)(void *user);
    // What is wrong (docs/api.md), with the names of the lessons that `claims` may send; NULL: of
    // all. New array.
    json_t *(*alarms)(void *user, const TkClaims *claims);
    // Appends the program's own metrics.
    void (*metrics)(void *user, GString *out);
    void *user;
} ShelfApi;

ShelfReply *shelf_api_handle(const ShelfApi *api, const ShelfRequest *request);
