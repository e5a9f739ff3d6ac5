// SPDX-License-Identifier: MIT
#include "relay/net/schools.h"

#include <pthread.h>

#include "relay/net/stream.h"

struct _RelaySchools {
    // Of `by_name` and `all`, not of what stands in the schools; not a GMutex (mailbox.c).
    pthread_mutex_t lock;
    GHashTable *by_name; // -> RelaySchool
    GPtrArray *all;      // RelaySchool, owned
    RelayPool total;
    gint64 school_max_bps;
};

static void school_free(gpointer data)
{
    RelaySchool *school = data;
    g_free((char *)school->name);
    g_free(school);
}

RelaySchools *relay_schools_new(gint64 total_max_bps, gint64 school_max_bps)
{
    RelaySchools *schools = g_new0(RelaySchools, 1);
    pthread_mutex_init(&schools->lock, NULL);
    schools->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    schools->all = g_ptr_array_new_with_free_func(school_free);
    schools->total.max_bps = total_max_bps;
    schools->school_max_bps = school_max_bps;
    return schools;
}

void relay_schools_free(RelaySchools *schools)
{
    if (!schools)
        return;
    g_hash_table_unref(schools->by_name);
    g_ptr_array_unref(schools->all);
    pthread_mutex_destroy(&schools->lock);
    g_free(schools);
}

static RelaySchool *find(RelaySchools *s, const char *name)
{
    RelaySchool *school = g_hash_table_lookup(s->by_name, name);
    if (school)
        return school;
    if (s->all->len >= RELAY_SCHOOLS_MAX && !g_str_equal(name, RELAY_SCHOOL_OTHERS))
        return find(s, RELAY_SCHOOL_OTHERS);
    school = g_new0(RelaySchool, 1);
    school->name = g_strdup(name);
    school->pool.max_bps = s->school_max_bps;
    g_ptr_array_add(s->all, school);
    g_hash_table_insert(s->by_name, (gpointer)school->name, school);
    return school;
}

RelaySchool *relay_schools_find(RelaySchools *schools, const char *name)
{
    pthread_mutex_lock(&schools->lock);
    RelaySchool *school = find(schools, name ? name : "");
    pthread_mutex_unlock(&schools->lock);
    return school;
}

GPtrArray *relay_schools_all(RelaySchools *schools)
{
    pthread_mutex_lock(&schools->lock);
    GPtrArray *list = g_ptr_array_sized_new(schools->all->len);
    for (guint i = 0; i < schools->all->len; i++)
        g_ptr_array_add(list, schools->all->pdata[i]);
    pthread_mutex_unlock(&schools->lock);
    return list;
}

const RelayPool *relay_schools_total(const RelaySchools *schools)
{
    return &schools->total;
}

RelayShare relay_schools_share(RelaySchools *schools, RelaySchool *school, gboolean exempt)
{
    RelayShare share = {.forced = exempt};
    relay_share_draw_on(&share, &schools->total);
    if (!exempt)
        relay_share_draw_on(&share, &school->pool);
    return share;
}

void relay_school_come(RelaySchool *school, RelayOver over, RelayViewerState state)
{
    if (school)
        relay_stat_add(school->states[over][state], 1);
}

void relay_school_leave(RelaySchool *school, RelayOver over, RelayViewerState state)
{
    if (school)
        relay_stat_add(school->states[over][state], -1u);
}

void relay_school_change(RelaySchool *school, RelayOver over, RelayViewerState from,
                         RelayViewerState to)
{
    if (!school || from == to)
        return;
    relay_school_leave(school, over, from);
    relay_school_come(school, over, to);
    if (to == RELAY_VIEWER_GONE)
        relay_stat_add(school->viewers_gone, 1);
}

void relay_school_moved(RelaySchool *school, gboolean up)
{
    if (school)
        relay_stat_add(school->moves[up ? 1 : 0], 1);
}

void relay_school_tell(RelaySchool *school, const RelayLineNews *news, gint64 now_ns)
{
    if (!school || !(news->passes_bps || news->round_ns))
        return;
    if (news->passes_bps) {
        relay_stat_set(school->line_bps, news->passes_bps);
        relay_stat_set(school->line_full, (guint)news->full);
    }
    if (news->round_ns) {
        relay_stat_set(school->round_ns, news->round_ns);
        relay_stat_set(school->loss_ppm, news->loss_ppm);
    }
    relay_stat_set(school->told_ns, now_ns);
}
