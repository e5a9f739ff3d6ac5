// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"

// Who may come in. Without a key everybody (and then the relay listens on loopback only); with one,
// who shows a token. Immutable once made: any thread.

typedef struct _RelayDoor RelayDoor;

// `key_path` NULL or "": open.
RelayDoor *relay_door_new(const char *key_path, GError **error);
void relay_door_free(RelayDoor *door);
gboolean relay_door_is_open(const RelayDoor *door);

// The token in an Authorization header (Bearer; Basic: the password) or in a query string
// ("…&token=…", percent-decoded). Either may be NULL. Newly allocated or NULL.
char *relay_door_token(const char *authorization, const char *query);

// Whether the bearer of `token` may act as `role` on the lesson known by `name` and `id` (NULL as
// in tk_claims_allow). ret_claims (may be NULL): what the token says, newly allocated; NULL when
// the door is open.
gboolean relay_door_admit(const RelayDoor *door, const char *token, TkRole role, const char *name,
                          const char *id, TkClaims **ret_claims,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
