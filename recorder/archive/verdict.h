// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"

// What people have decided about a recording; retention goes by it. Words are static; NULL: nobody
// has said anything.
typedef struct {
    const char *review;  // "pending", "approved", "rejected"
    const char *consent; // "given", "withdrawn"
    gboolean keep;       // for ever
} RecVerdict;

// Takes the members `review`, `consent` and `keep` out of `object` (null clears) and leaves the
// others. On error neither is changed.
gboolean rec_verdict_take(RecVerdict *verdict, json_t *object,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
// Adds those that are set.
void rec_verdict_write(const RecVerdict *verdict, json_t *object);

// After how many days a recording goes; 0: never by this rule.
typedef struct {
    guint days;            // any
    guint unreviewed_days; // that nobody has approved
    guint rejected_days;
    guint no_consent_days; // for which no consent is known, or it was withdrawn
} RecRetention;

// Why a recording of `age_ns` is due, as a static word: "no-consent", "rejected", "unreviewed",
// "age". NULL: it stays. `keep` wins over all but a consent that was withdrawn.
const char *rec_retention_due(const RecRetention *rules, const RecVerdict *verdict, gint64 age_ns);
