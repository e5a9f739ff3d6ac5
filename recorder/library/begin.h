// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/api.h"

// A lesson of which no relay ever told, as its capture's offer tells of it (docs/api.md, Healing).

// Who began how many in this hour. One thread.
typedef struct _ShelfBegun ShelfBegun;

ShelfBegun *shelf_begun_new(void);
void shelf_begun_free(ShelfBegun *begun);

// object[key], a time by the capture's clock, as the library's clock says it.
gboolean shelf_offer_time(const json_t *object, const char *key, gint64 skew_ns,
                          gint64 *ret_ns) G_GNUC_WARN_UNUSED_RESULT;

// The lesson that an offer's body describes; nothing is made. TK_ERROR_INVALID when it offers
// nothing, or its times or that inside `id` are nowhere near `now_ns`.
RecLesson *shelf_begin_read(const char *id, const json_t *body, gint64 skew_ns, gint64 now_ns,
                            GError **error);
// Makes its folder, closes it and tells api->changed. `claims` (may be NULL) say who asks;
// TK_ERROR_LIMIT when he has begun too many, TK_ERROR_CONFLICT when there is a recording that the
// index does not know.
gboolean shelf_begin_make(const ShelfApi *api, ShelfBegun *begun, const TkClaims *claims,
                          RecLesson *lesson, GError **error) G_GNUC_WARN_UNUSED_RESULT;
