// SPDX-License-Identifier: MIT
#include "relay/net/school_report.h"

#include <string.h>

#include "common/base/clock.h"
#include "relay/net/stream.h"

// A list is for one who looks at the worst of them.
#define LISTED_MAX 1000

static const char *const over_words[] = {"rtp", "ws", "multicast"};

static guint viewers_over(const RelaySchool *school, RelayOver over)
{
    guint count = 0;
    for (guint state = 0; state < RELAY_VIEWER_STATES; state++)
        count += relay_stat_get(school->states[over][state]);
    return count;
}

static guint viewers_in(const RelaySchool *school, RelayViewerState state)
{
    guint count = 0;
    for (guint over = 0; over < RELAY_OVERS; over++)
        count += relay_stat_get(school->states[over][state]);
    return count;
}

// One school as it is sorted by: read once, since it changes meanwhile.
typedef struct {
    const RelaySchool *school;
    guint states[RELAY_VIEWER_STATES];
    gint64 loss_ppm;
} Row;

static gint compare_counts(guint a, guint b)
{
    return a > b ? -1 : a < b;
}

static gint worse_first(gconstpointer a, gconstpointer b)
{
    static const RelayViewerState order[] = {RELAY_VIEWER_GONE, RELAY_VIEWER_CATCHING_UP,
                                             RELAY_VIEWER_AUDIO, RELAY_VIEWER_LOW};
    const Row *x = a, *y = b;
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        if (x->states[order[i]] != y->states[order[i]])
            return compare_counts(x->states[order[i]], y->states[order[i]]);
    if (x->loss_ppm != y->loss_ppm)
        return x->loss_ppm > y->loss_ppm ? -1 : 1;
    if (x->states[RELAY_VIEWER_LIVE] != y->states[RELAY_VIEWER_LIVE])
        return compare_counts(x->states[RELAY_VIEWER_LIVE], y->states[RELAY_VIEWER_LIVE]);
    return strcmp(x->school->name, y->school->name);
}

static GArray *sorted_rows(RelaySchools *schools)
{
    g_autoptr(GPtrArray) list = relay_schools_all(schools);
    GArray *rows = g_array_sized_new(FALSE, TRUE, sizeof(Row), list->len);
    for (guint i = 0; i < list->len; i++) {
        Row row = {.school = list->pdata[i]};
        for (guint state = 0; state < RELAY_VIEWER_STATES; state++)
            row.states[state] = viewers_in(row.school, state);
        row.loss_ppm = relay_stat_get(row.school->loss_ppm);
        g_array_append_val(rows, row);
    }
    g_array_sort(rows, worse_first);
    return rows;
}

static json_t *number_or_null(gint64 value)
{
    return value ? json_integer(value) : json_null();
}

static json_t *line_json(const RelaySchool *school, gint64 now_ns)
{
    gint64 told_ns = relay_stat_get(school->told_ns), round_ns = relay_stat_get(school->round_ns);
    if (!told_ns)
        return json_null();
    return json_pack(
        "{s:o, s:b, s:o, s:o, s:f}", "bps", number_or_null(relay_stat_get(school->line_bps)),
        "full", (int)relay_stat_get(school->line_full), "round_trip_ms",
        round_ns ? json_real((double)round_ns / TK_NS_PER_MS) : json_null(), "loss",
        round_ns ? json_real((double)relay_stat_get(school->loss_ppm) / 1e6) : json_null(), "age_s",
        (double)MAX(now_ns - told_ns, 0) / TK_NS_PER_S);
}

static json_t *row_json(const Row *row, gint64 now_ns)
{
    const RelaySchool *school = row->school;
    json_t *object = json_object(), *viewers = json_object(), *states = json_object();
    json_object_set_new(object, "name", *school->name ? json_string(school->name) : json_null());
    for (guint over = 0; over < RELAY_OVERS; over++)
        tk_json_set_int(viewers, over_words[over], viewers_over(school, over));
    for (guint state = 0; state < RELAY_VIEWER_STATES; state++)
        if (row->states[state])
            tk_json_set_int(states, relay_viewer_state_word(state), row->states[state]);
    json_object_set_new(object, "viewers", viewers);
    json_object_set_new(object, "states", states);
    json_object_set_new(object, "line", line_json(school, now_ns));
    tk_json_set_int(object, "moved_down", (gint64)relay_stat_get(school->moves[0]));
    tk_json_set_int(object, "moved_up", (gint64)relay_stat_get(school->moves[1]));
    tk_json_set_int(object, "dropped", (gint64)relay_stat_get(school->units_dropped));
    tk_json_set_int(object, "gone", (gint64)relay_stat_get(school->viewers_gone));
    tk_json_set_int(object, "refused", (gint64)relay_stat_get(school->refused));
    tk_json_set_int(object, "sent_bytes", (gint64)relay_stat_get(school->bytes));
    tk_json_set_int(object, "reserved_bps", relay_stat_get(school->pool.taken_bps));
    return object;
}

json_t *relay_school_report_json(RelaySchools *schools, gint64 now_ns)
{
    g_autoptr(GArray) rows = sorted_rows(schools);
    json_t *object = json_object(), *array = json_array();
    for (guint i = 0; i < MIN(rows->len, LISTED_MAX); i++)
        json_array_append_new(array, row_json(&g_array_index(rows, Row, i), now_ns));
    tk_json_set_int(object, "total", rows->len);
    tk_json_set_int(object, "reserved_bps",
                    relay_stat_get(relay_schools_total(schools)->taken_bps));
    json_object_set_new(object, "schools", array);
    return object;
}

static void put_label(GString *out, const char *metric, const char *name)
{
    g_string_append_printf(out, "tongke_school_%s{school=\"", metric);
    for (; *name; name++) {
        if (*name == '\\' || *name == '"')
            g_string_append_c(out, '\\');
        if (*name == '\n')
            g_string_append(out, "\\n");
        else
            g_string_append_c(out, *name);
    }
    g_string_append_c(out, '"');
}

static void put_viewers(const RelaySchool *school, GString *out)
{
    for (guint over = 0; over < RELAY_OVERS; over++) {
        for (guint state = 0; state < RELAY_VIEWER_STATES; state++) {
            guint count = relay_stat_get(school->states[over][state]);
            if (!count)
                continue;
            put_label(out, "viewers", school->name);
            g_string_append_printf(out, ",over=\"%s\",state=\"%s\"} %u\n", over_words[over],
                                   relay_viewer_state_word(state), count);
        }
    }
}

static void put_head(GString *out, const char *metric, const char *type, const char *help)
{
    g_string_append_printf(out, "# HELP tongke_school_%s %s\n# TYPE tongke_school_%s %s\n", metric,
                           help, metric, type);
}

// One number of each school, where it is not 0.
static void put_numbers(GString *out, const GPtrArray *list, const char *metric, const char *type,
                        const char *help, double (*number)(const RelaySchool *))
{
    put_head(out, metric, type, help);
    for (guint i = 0; i < list->len; i++) {
        const RelaySchool *school = list->pdata[i];
        double value = number(school);
        if (value == 0)
            continue;
        put_label(out, metric, school->name);
        g_string_append_printf(out, "} %.*f\n", value == (double)(gint64)value ? 0 : 6, value);
    }
}

static double line_bps(const RelaySchool *school)
{
    return (double)relay_stat_get(school->line_bps);
}

static double round_s(const RelaySchool *school)
{
    return (double)relay_stat_get(school->round_ns) / TK_NS_PER_S;
}

static double loss(const RelaySchool *school)
{
    return (double)relay_stat_get(school->loss_ppm) / 1e6;
}

static double reserved_bps(const RelaySchool *school)
{
    return (double)relay_stat_get(school->pool.taken_bps);
}

static double moved_down(const RelaySchool *school)
{
    return (double)relay_stat_get(school->moves[0]);
}

static double moved_up(const RelaySchool *school)
{
    return (double)relay_stat_get(school->moves[1]);
}

static double dropped(const RelaySchool *school)
{
    return (double)relay_stat_get(school->units_dropped);
}

static double gone(const RelaySchool *school)
{
    return (double)relay_stat_get(school->viewers_gone);
}

static double refused(const RelaySchool *school)
{
    return (double)relay_stat_get(school->refused);
}

static double sent_bytes(const RelaySchool *school)
{
    return (double)relay_stat_get(school->bytes);
}

void relay_school_report_metrics(RelaySchools *schools, GString *out)
{
    static const struct {
        const char *metric, *type, *help;
        double (*number)(const RelaySchool *);
    } rows[] = {
        {"line_bps", "gauge", "Bits a second that were last seen to pass to one of its viewers.",
         line_bps},
        {"round_trip_seconds", "gauge", "Round trip, as one of its viewers last had it.", round_s},
        {"loss_ratio", "gauge", "Part of what was sent that was lost then.", loss},
        {"reserved_bps", "gauge", "What its viewers have of limits.school_kbps.", reserved_bps},
        {"moved_down_total", "counter", "Times that a viewer was given a smaller rendition.",
         moved_down},
        {"moved_up_total", "counter", "Times that it was given a larger one.", moved_up},
        {"dropped_total", "counter", "Packets and chunks that slow viewers lost.", dropped},
        {"gone_total", "counter", "Viewers that the relay gave up.", gone},
        {"refused_total", "counter", "Viewers for whom limits left no room.", refused},
        {"sent_bytes_total", "counter", "Bytes of media sent to its viewers.", sent_bytes},
    };
    g_autoptr(GPtrArray) list = relay_schools_all(schools);
    put_head(out, "viewers", "gauge", "Viewers of each school, how they follow.");
    for (guint i = 0; i < list->len; i++)
        put_viewers(list->pdata[i], out);
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        put_numbers(out, list, rows[i].metric, rows[i].type, rows[i].help, rows[i].number);
}
