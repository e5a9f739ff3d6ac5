// SPDX-License-Identifier: MIT
#include "recorder/archive/verdict.h"

#include "common/base/clock.h"
#include "common/base/error.h"

#include <string.h>

#define DAY_NS (86400 * TK_NS_PER_S)

static const char *const reviews[] = {"pending", "approved", "rejected", NULL};
static const char *const consents[] = {"given", "withdrawn", NULL};

static gboolean word_read(const json_t *object, const char *key, const char *const *words,
                          const char **word, GError **error)
{
    const json_t *value = json_object_get(object, key);
    if (!value)
        return TRUE;
    if (json_is_null(value)) {
        *word = NULL;
        return TRUE;
    }
    for (; *words && json_is_string(value); words++) {
        if (strcmp(json_string_value(value), *words) == 0) {
            *word = *words;
            return TRUE;
        }
    }
    g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s: not a word that is known here", key);
    return FALSE;
}

gboolean rec_verdict_take(RecVerdict *verdict, json_t *object, GError **error)
{
    RecVerdict fresh = *verdict;
    const json_t *keep = json_object_get(object, "keep");

    if (!word_read(object, "review", reviews, &fresh.review, error) ||
        !word_read(object, "consent", consents, &fresh.consent, error))
        return FALSE;
    if (keep && !json_is_boolean(keep) && !json_is_null(keep)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "keep: neither true nor false");
        return FALSE;
    }
    if (keep)
        fresh.keep = json_is_true(keep);
    json_object_del(object, "review");
    json_object_del(object, "consent");
    json_object_del(object, "keep");
    *verdict = fresh;
    return TRUE;
}

void rec_verdict_write(const RecVerdict *verdict, json_t *object)
{
    if (verdict->review)
        tk_json_set_string(object, "review", verdict->review);
    if (verdict->consent)
        tk_json_set_string(object, "consent", verdict->consent);
    if (verdict->keep)
        json_object_set_new(object, "keep", json_true());
}

static gboolean over(guint days, gint64 age_ns)
{
    return days > 0 && age_ns >= days * DAY_NS;
}

const char *rec_retention_due(const RecRetention *rules, const RecVerdict *verdict, gint64 age_ns)
{
    gboolean withdrawn = g_strcmp0(verdict->consent, "withdrawn") == 0;

    if (verdict->keep && !withdrawn)
        return NULL;
    if (over(rules->no_consent_days, age_ns) && g_strcmp0(verdict->consent, "given") != 0)
        return "no-consent";
    if (verdict->keep)
        return NULL;
    if (over(rules->rejected_days, age_ns) && g_strcmp0(verdict->review, "rejected") == 0)
        return "rejected";
    if (over(rules->unreviewed_days, age_ns) && g_strcmp0(verdict->review, "approved") != 0)
        return "unreviewed";
    return over(rules->days, age_ns) ? "age" : NULL;
}
