// SPDX-License-Identifier: MIT
#include "recorder/retain.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "recorder/library/remove.h"

struct _RecRetain {
    const char *data;
    ShelfIndex *index;
    RecRetention rules;
    gint64 at; // how far this round has come
    guint timer, idle;
};

RecRetention rec_retain_rules(const TkConfig *config)
{
    return (RecRetention){
        .days = (guint)tk_config_int(config, "retention", "days"),
        .unreviewed_days = (guint)tk_config_int(config, "retention", "unreviewed_days"),
        .rejected_days = (guint)tk_config_int(config, "retention", "rejected_days"),
        .no_consent_days = (guint)tk_config_int(config, "retention", "no_consent_days"),
    };
}

gboolean rec_retain_any(const RecRetention *rules)
{
    return rules->days || rules->unreviewed_days || rules->rejected_days || rules->no_consent_days;
}

static const char *due(const RecRetention *rules, const RecLesson *lesson, gint64 now_ns)
{
    // What nobody knows the age of stays.
    return lesson->state == REC_STATE_CLOSED && lesson->started_ns
               ? rec_retention_due(rules, &lesson->verdict, now_ns - lesson->started_ns)
               : NULL;
}

// As its folder tells it: the index may be older than what somebody has decided.
static RecLesson *stored_load(const char *data, const char *id)
{
    g_autofree char *folder = rec_folder_path(data, id);
    g_autoptr(GError) error = NULL;
    RecLesson *lesson = rec_lesson_load(folder, &error);
    if (!lesson)
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id},
               "retention leaves it alone, since nobody can tell what was decided about it: %s",
               error->message);
    return lesson;
}

// What goes wrong with one recording is its own: the others have their turn.
static void one_run(const char *data, ShelfIndex *index, const RecLesson *lesson,
                    const char *reason, RecRetainCounts *counts)
{
    g_autofree char *text = g_strconcat("retention: ", reason, NULL);
    g_autoptr(GError) error = NULL;

    if (shelf_remove(data, index, lesson, "retention", text, &error))
        return;
    counts->failed++;
    tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = lesson->id, .reason = tk_error_word(error->code)},
           "not deleted: %s; retention tries again in its next round", error->message);
}

// The next recordings behind *at. *ret_more: there are others behind them.
static gboolean batch_run(const char *data, ShelfIndex *index, const RecRetention *rules,
                          gboolean dry, RecRetainTell tell, void *user, gint64 *at,
                          RecRetainCounts *counts, gboolean *ret_more, GError **error)
{
    gint64 now_ns = tk_clock_wall_ns(), before = *at;
    // No rule is shorter than a day.
    g_autoptr(GPtrArray) lessons =
        shelf_index_older(index, now_ns - 86400 * TK_NS_PER_S, REC_RETAIN_BATCH, at, error);
    if (!lessons)
        return FALSE;
    for (guint i = 0; i < lessons->len; i++) {
        const RecLesson *listed = lessons->pdata[i];
        g_autoptr(RecLesson) lesson =
            due(rules, listed, now_ns) ? stored_load(data, listed->id) : NULL;
        const char *reason = lesson ? due(rules, lesson, now_ns) : NULL;
        if (!reason)
            continue;
        counts->due++;
        if (tell)
            tell(lesson, reason, user);
        if (!dry)
            one_run(data, index, lesson, reason, counts);
    }
    *ret_more = *at != before;
    return TRUE;
}

gboolean rec_retain_run(const char *data, ShelfIndex *index, const RecRetention *rules,
                        gboolean dry, RecRetainTell tell, void *user, RecRetainCounts *ret,
                        GError **error)
{
    RecRetainCounts counts = {0};
    gboolean more = TRUE;
    gint64 at = 0;
    while (more)
        if (!batch_run(data, index, rules, dry, tell, user, &at, &counts, &more, error))
            return FALSE;
    *ret = counts;
    return TRUE;
}

static gboolean batch_due(void *user)
{
    RecRetain *retain = user;
    g_autoptr(GError) error = NULL;
    RecRetainCounts counts = {0};
    gboolean more = FALSE;

    if (!batch_run(retain->data, retain->index, &retain->rules, FALSE, NULL, NULL, &retain->at,
                   &counts, &more, &error))
        tk_error("%s; retention goes on in %d hours", error->message, REC_RETAIN_EVERY_H);
    if (more)
        return G_SOURCE_CONTINUE;
    retain->idle = 0;
    return G_SOURCE_REMOVE;
}

static gboolean round_due(void *user)
{
    RecRetain *retain = user;
    retain->at = 0;
    if (!retain->idle)
        retain->idle = g_idle_add(batch_due, retain);
    retain->timer = g_timeout_add_seconds(REC_RETAIN_EVERY_H * 3600, round_due, retain);
    return G_SOURCE_REMOVE;
}

RecRetain *rec_retain_new(const char *data, ShelfIndex *index, const RecRetention *rules)
{
    if (!rec_retain_any(rules))
        return NULL;
    RecRetain *retain = g_new0(RecRetain, 1);
    retain->data = data;
    retain->index = index;
    retain->rules = *rules;
    retain->timer = g_timeout_add_seconds(REC_RETAIN_FIRST_S, round_due, retain);
    return retain;
}

void rec_retain_free(RecRetain *retain)
{
    if (!retain)
        return;
    g_clear_handle_id(&retain->timer, g_source_remove);
    g_clear_handle_id(&retain->idle, g_source_remove);
    g_free(retain);
}
