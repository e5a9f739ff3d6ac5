// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// The right to watch one lesson as a part of an address: who was let in is told it, and any cache
// may keep what stands under it, since nobody who was not told can ask for it. It is the same for
// all viewers of a time, so that they share what is cached, and ends by itself.
typedef struct _ShelfGrants ShelfGrants;

// The key is DATA/hls.key, made the first time: with another one all addresses end.
ShelfGrants *shelf_grants_open(const char *data, GError **error);
void shelf_grants_free(ShelfGrants *grants);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfGrants, shelf_grants_free)

// A new address lasts for one to two of these: longer than a school day, and what was deleted is
// out of all caches a day later.
#define SHELF_GRANT_WINDOW_S (12 * 3600)

// Newly allocated, of letters, digits and "-".
char *shelf_grant_make(const ShelfGrants *grants, const char *lesson, gint64 now_s);
// For how many seconds it still holds; 0: not at all.
gint64 shelf_grant_left(const ShelfGrants *grants, const char *text, const char *lesson,
                        gint64 now_s);
