// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <pthread.h>
#include <string.h>

#include "relay/net/school_report.h"

static RelaySchool *named(RelaySchools *schools, guint number)
{
    g_autofree char *name = g_strdup_printf("school %u", number);
    return relay_schools_find(schools, name);
}

static void one_name_is_one_school(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    RelaySchool *nameless = relay_schools_find(schools, NULL);
    assert_string_equal(nameless->name, "");
    assert_ptr_equal(relay_schools_find(schools, ""), nameless);
    assert_ptr_equal(named(schools, 1), named(schools, 1));
    assert_ptr_not_equal(named(schools, 1), named(schools, 2));
    relay_schools_free(schools);
}

static void names_are_bounded(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    for (guint i = 0; i < RELAY_SCHOOLS_MAX; i++)
        assert_string_not_equal(named(schools, i)->name, RELAY_SCHOOL_OTHERS);
    RelaySchool *others = named(schools, RELAY_SCHOOLS_MAX);
    assert_string_equal(others->name, RELAY_SCHOOL_OTHERS);
    assert_ptr_equal(named(schools, RELAY_SCHOOLS_MAX + 1), others);
    assert_string_equal(named(schools, 7)->name, "school 7"); // whoever was there stays
    g_autoptr(GPtrArray) all = relay_schools_all(schools);
    assert_int_equal(all->len, RELAY_SCHOOLS_MAX + 1);
    g_autoptr(json_t) report = relay_school_report_json(schools, 0);
    assert_int_equal(json_array_size(json_object_get(report, "schools")), 1000);
    assert_int_equal(tk_json_int(report, "total", 0), RELAY_SCHOOLS_MAX + 1);
    relay_schools_free(schools);
}

static void counts_are_back_at_nothing_when_all_have_left(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    RelaySchool *school = named(schools, 1);
    relay_school_come(school, RELAY_OVER_WS, RELAY_VIEWER_WAITING);
    relay_school_change(school, RELAY_OVER_WS, RELAY_VIEWER_WAITING, RELAY_VIEWER_LIVE);
    relay_school_change(school, RELAY_OVER_WS, RELAY_VIEWER_LIVE, RELAY_VIEWER_LIVE);
    assert_int_equal(school->states[RELAY_OVER_WS][RELAY_VIEWER_LIVE], 1);
    relay_school_change(school, RELAY_OVER_WS, RELAY_VIEWER_LIVE, RELAY_VIEWER_GONE);
    relay_school_leave(school, RELAY_OVER_WS, RELAY_VIEWER_GONE);
    assert_int_equal(school->viewers_gone, 1);
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        assert_int_equal(school->states[RELAY_OVER_WS][i], 0);
    relay_school_come(NULL, RELAY_OVER_RTP, RELAY_VIEWER_LIVE); // a group's
    relay_schools_free(schools);
}

static const char *name_at(const json_t *report, guint index)
{
    return tk_json_string(json_array_get(json_object_get(report, "schools"), index), "name", NULL);
}

static void the_worst_stands_first(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    for (guint i = 0; i < 5; i++)
        relay_school_come(named(schools, i), RELAY_OVER_WS, RELAY_VIEWER_LIVE);
    RelayLineNews lossy = {.round_ns = 1000000, .loss_ppm = 20000};
    relay_school_tell(named(schools, 1), &lossy, 1);
    relay_school_come(named(schools, 2), RELAY_OVER_RTP, RELAY_VIEWER_AUDIO);
    relay_school_come(named(schools, 3), RELAY_OVER_RTP, RELAY_VIEWER_CATCHING_UP);
    relay_school_come(named(schools, 4), RELAY_OVER_RTP, RELAY_VIEWER_LOW);
    relay_school_come(named(schools, 4), RELAY_OVER_WS, RELAY_VIEWER_LOW);
    g_autoptr(json_t) report = relay_school_report_json(schools, 1);
    static const char *const expected[] = {"school 3", "school 2", "school 4", "school 1",
                                           "school 0"};
    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_string_equal(name_at(report, i), expected[i]);
    relay_schools_free(schools);
}

static void what_a_viewer_does_not_know_stays(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    RelaySchool *school = named(schools, 1);
    RelayLineNews rate = {.passes_bps = 1200000, .full = TRUE}, way = {.round_ns = 80000000};
    RelayLineNews nothing = {0};
    relay_school_tell(school, &nothing, 5);
    assert_int_equal(school->told_ns, 0);
    relay_school_tell(school, &rate, 6);
    relay_school_tell(school, &way, 7);
    assert_int_equal(school->line_bps, 1200000);
    assert_true(school->line_full);
    assert_int_equal(school->round_ns, 80000000);
    assert_int_equal(school->told_ns, 7);
    relay_schools_free(schools);
}

static void names_cannot_break_out_of_their_labels(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    RelaySchool *school = relay_schools_find(schools, "a\"} 1\n\\b");
    g_autoptr(GString) out = g_string_new(NULL);
    relay_school_come(school, RELAY_OVER_RTP, RELAY_VIEWER_LIVE);
    relay_school_moved(school, FALSE);
    relay_school_report_metrics(schools, out);
    assert_non_null(strstr(out->str,
                           "tongke_school_viewers{school=\"a\\\"} 1\\n\\\\b\",over=\"rtp\","
                           "state=\"live\"} 1\n"));
    assert_non_null(
        strstr(out->str, "tongke_school_moved_down_total{school=\"a\\\"} 1\\n\\\\b\"} 1\n"));
    assert_null(strstr(out->str, "moved_up_total{")); // what is 0 takes no line
    relay_schools_free(schools);
}

static void a_recorder_draws_on_the_total_alone(void **state)
{
    RelaySchools *schools = relay_schools_new(3000, 1000);
    RelaySchool *school = named(schools, 1);
    RelayShare recorder = relay_schools_share(schools, school, TRUE);
    RelayShare viewer = relay_schools_share(schools, school, FALSE);
    assert_true(relay_share_take(&recorder, 2500));
    assert_int_equal(school->pool.taken_bps, 0);
    assert_false(relay_share_take(&viewer, 600));
    assert_true(relay_share_take(&viewer, 500));
    assert_int_equal(school->pool.taken_bps, 500);
    assert_int_equal(relay_schools_total(schools)->taken_bps, 3000);
    relay_schools_free(schools);
}

#define THREADS 4

static void *watch(void *data)
{
    RelaySchools *schools = data;
    for (guint i = 0; i < 2 * RELAY_SCHOOLS_MAX; i++) {
        RelaySchool *school = named(schools, i / 2);
        relay_school_come(school, RELAY_OVER_WS, RELAY_VIEWER_LIVE);
        relay_school_moved(school, TRUE);
        if (i % 2)
            relay_school_leave(school, RELAY_OVER_WS, RELAY_VIEWER_LIVE);
    }
    return NULL;
}

static void all_threads_have_the_same_schools(void **state)
{
    RelaySchools *schools = relay_schools_new(0, 0);
    pthread_t threads[THREADS];
    for (guint i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, watch, schools), 0);
    for (guint i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (guint i = 0; i < RELAY_SCHOOLS_MAX; i++) {
        const RelaySchool *school = named(schools, i);
        assert_int_equal(school->states[RELAY_OVER_WS][RELAY_VIEWER_LIVE], THREADS);
        assert_int_equal(school->moves[1], 2 * THREADS);
    }
    relay_schools_free(schools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_name_is_one_school),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(counts_are_back_at_nothing_when_all_have_left),
        cmocka_unit_test(the_worst_stands_first),
        cmocka_unit_test(what_a_viewer_does_not_know_stays),
        cmocka_unit_test(names_cannot_break_out_of_their_labels),
        cmocka_unit_test(all_threads_have_the_same_schools),
        cmocka_unit_test(a_recorder_draws_on_the_total_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
