// SPDX-License-Identifier: MIT
#include "client/ctl/command.h"
#include "client/ctl/http.h"
#include "client/ctl/print.h"
#include "client/ctl/record.h"

// So much is a connection that stands still.
#define LITTLE_BPS 1000

// "2 live, 1 low": what is worth knowing first stands first.
static char *how_they_follow(const json_t *states)
{
    static const char *const words[] = {"gone", "catching-up", "audio", "low", "live", "waiting"};
    GString *text = g_string_new(NULL);
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        gint64 count = tk_json_int(states, words[i], 0);
        if (count)
            g_string_append_printf(text, "%s%" G_GINT64_FORMAT " %s", text->len ? ", " : "", count,
                                   words[i]);
    }
    return g_string_free(text, FALSE);
}

// Three digits, or all before the point.
static char *figure(double value, const char *unit)
{
    return g_strdup_printf(value < 100 ? "%.3g %s" : "%.0f %s", value, unit);
}

// "1.2 Mbit/s" is all that passes; more than was tried may.
static char *line_text(const json_t *line)
{
    double bps = (double)tk_json_int(line, "bps", 0);
    if (bps == 0)
        return NULL;
    if (bps < LITTLE_BPS)
        return g_strdup("nothing passes");
    g_autofree char *rate = figure(bps / 1e6, "Mbit/s");
    return g_strconcat(tk_json_bool(line, "full", FALSE) ? "" : "> ", rate, NULL);
}

static char *measured(const json_t *line, const char *key, double factor, const char *unit)
{
    if (!json_is_number(json_object_get(line, key)))
        return NULL;
    return figure(tk_json_real(line, key, 0) * factor, unit);
}

static void add_row(CtlTable *table, const json_t *school)
{
    const json_t *line = json_object_get(school, "line");
    g_autofree char *follow = how_they_follow(json_object_get(school, "states"));
    g_autofree char *passes = line_text(line);
    g_autofree char *round_trip = measured(line, "round_trip_ms", 1, "ms");
    g_autofree char *loss = measured(line, "loss", 100, "%");
    g_autofree char *moves =
        g_strdup_printf("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT,
                        tk_json_int(school, "moved_down", 0), tk_json_int(school, "moved_up", 0));
    g_autofree char *dropped =
        g_strdup_printf("%" G_GINT64_FORMAT, tk_json_int(school, "dropped", 0));
    g_autofree char *turned_away =
        g_strdup_printf("%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, tk_json_int(school, "gone", 0),
                        tk_json_int(school, "refused", 0));
    const char *const cells[] = {tk_json_string(school, "name", NULL),
                                 *follow ? follow : "nobody",
                                 passes,
                                 round_trip,
                                 loss,
                                 moves,
                                 dropped,
                                 turned_away};
    ctl_table_add(table, cells);
}

gboolean ctl_school_list(const CtlOptions *options, GError **error)
{
    static const char *const headings[] = {"SCHOOL",     "VIEWERS",      "LINE",
                                           "ROUND TRIP", "LOSS",         "MOVED DOWN/UP",
                                           "DROPPED",    "GONE/REFUSED", NULL};
    g_autoptr(json_t) answer = ctl_http(options, CTL_RELAY, "GET", "/api/v1/schools", NULL, error);

    if (!answer)
        return FALSE;
    if (options->json) {
        ctl_record_print(answer, TRUE);
        return TRUE;
    }
    g_autofree char *text = ctl_table_of(json_object_get(answer, "schools"), headings, add_row);
    printf("%s", text ? text : "no school has watched yet\n");
    return TRUE;
}
