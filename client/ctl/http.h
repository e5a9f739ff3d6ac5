// SPDX-License-Identifier: MIT
#pragma once

#include "client/ctl/command.h"
#include "common/base/json.h"

typedef enum { CTL_RELAY, CTL_LIBRARY } CtlServer;

// Asks `server` (its URL stands in `options`) for `path`, which is escaped already and begins with
// '/'. `body` may be NULL. Returns the answer's JSON, or an empty object when it has none, or NULL
// with an error that says what to do. New reference.
json_t *ctl_http(const CtlOptions *options, CtlServer server, const char *method, const char *path,
                 const json_t *body, GError **error);

// The same for an answer that is no JSON ("ok"). Newly allocated.
char *ctl_http_text(const CtlOptions *options, CtlServer server, const char *path, GError **error);
