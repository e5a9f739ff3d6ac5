// SPDX-License-Identifier: MIT
#include "recorder/library/begin.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/ulid.h"
#include "recorder/archive/state.h"

#include <string.h>

// A copy is kept for days, and over a holiday for months; what is older was never recorded here.
#define PAST_NS (366 * 86400 * TK_NS_PER_S)
// Ids are made by the capture's clock, which may be wrong by a time zone.
#define AHEAD_NS (86400 * TK_NS_PER_S)
// By one sender: a capture that comes back after a fortnight has ten lessons of each school day to
// give at once. Each costs a folder and a row.
#define BEGUN_PER_HOUR_MAX 150

struct _ShelfBegun {
    gint64 hour_ns;     // when the hour began, monotonic
    GHashTable *counts; // sender → how many
};

ShelfBegun *shelf_begun_new(void)
{
    ShelfBegun *begun = g_new0(ShelfBegun, 1);
    begun->counts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return begun;
}

void shelf_begun_free(ShelfBegun *begun)
{
    if (!begun)
        return;
    g_hash_table_unref(begun->counts);
    g_free(begun);
}

// By school where the token names one. Names come from tokens that were checked, so there are no
// more of them than the key's owner gave out.
static gboolean count(ShelfBegun *begun, const TkClaims *claims, GError **error)
{
    const char *who = claims ? (claims->school ? claims->school : claims->lesson) : "";
    gint64 now_ns = tk_clock_monotonic_ns();

    if (now_ns - begun->hour_ns >= 3600 * TK_NS_PER_S) {
        g_hash_table_remove_all(begun->counts);
        begun->hour_ns = now_ns;
    }
    guint count = GPOINTER_TO_UINT(g_hash_table_lookup(begun->counts, who));
    if (count >= BEGUN_PER_HOUR_MAX) {
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT,
                    "%u lessons that no relay told of were begun by this sender within an hour; "
                    "later again",
                    count);
        return FALSE;
    }
    g_hash_table_insert(begun->counts, g_strdup(who), GUINT_TO_POINTER(count + 1));
    return TRUE;
}

gboolean shelf_offer_time(const json_t *object, const char *key, gint64 skew_ns, gint64 *ret_ns)
{
    const char *text = tk_json_string(object, key, NULL);
    gint64 ns;
    // Between 1970 and 2116, so that sums of a few of them stay numbers.
    if (!text || !tk_clock_parse_rfc3339(text, &ns, NULL) || ns < 0 || ns > G_MAXINT64 / 2)
        return FALSE;
    *ret_ns = ns + skew_ns;
    return TRUE;
}

static gboolean near(gint64 wall_ns, gint64 now_ns)
{
    return wall_ns >= now_ns - PAST_NS && wall_ns <= now_ns + AHEAD_NS;
}

RecLesson *shelf_begin_read(const char *id, const json_t *body, gint64 skew_ns, gint64 now_ns,
                            GError **error)
{
    const json_t *info = json_object_get(body, "info"), *one;
    gint64 first_ns = G_MAXINT64, last_ns = 0;
    size_t i;

    json_array_foreach(json_object_get(body, "streams"), i, one)
    {
        gint64 from_ns, to_ns;
        if (!shelf_offer_time(one, "from", skew_ns, &from_ns) ||
            !shelf_offer_time(one, "to", skew_ns, &to_ns))
            continue;
        first_ns = MIN(first_ns, from_ns);
        last_ns = MAX(last_ns, to_ns);
    }
    if (last_ns == 0 || last_ns <= first_ns) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "nothing is offered");
        return NULL;
    }
    if (!near(tk_ulid_wall_ns(id), now_ns) || !near(first_ns, now_ns) || !near(last_ns, now_ns)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "a lesson that no relay told of is at most a year old, and not of tomorrow: "
                    "look at the sender's clock");
        return NULL;
    }
    g_autoptr(RecLesson) lesson = rec_lesson_new(id, tk_json_string(body, "name", ""));
    if (info && !rec_lesson_set_info(lesson, info, error))
        return NULL;
    // It begins a second before its media, like a relay's.
    lesson->started_ns = first_ns - TK_NS_PER_S;
    lesson->ended_ns = last_ns;
    return g_steal_pointer(&lesson);
}

gboolean shelf_begin_make(const ShelfApi *api, ShelfBegun *begun, const TkClaims *claims,
                          RecLesson *lesson, GError **error)
{
    g_autofree char *folder = rec_folder_path(api->data, lesson->id);
    g_autofree char *stamp = rec_lesson_stamp(folder);
    if (stamp) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT,
                    "the library has a recording of it that it could not read at its start");
        return FALSE;
    }
    if (!count(begun, claims, error))
        return FALSE;
    rec_state_set(lesson, REC_STATE_SALVAGED, "no relay told of it; its capture has it");
    rec_state_set(lesson, REC_STATE_CLOSED, "it is over");
    if (!rec_folder_make(folder, error) || !rec_lesson_save(lesson, folder, error))
        return FALSE;
    api->changed(api->user, lesson);
    return TRUE;
}
