// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "relay/net/cores.h"

static cpu_set_t allowed(void)
{
    cpu_set_t set;
    assert_int_equal(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
    return set;
}

static gpointer look(gpointer data)
{
    *(cpu_set_t *)data = allowed();
    return NULL;
}

static void threads_are_bound_in_turn(void **state)
{
    g_autoptr(GError) error = NULL;
    cpu_set_t before = allowed(), seen, all;
    RelayCores *cores = relay_cores_new("true", &error);
    assert_non_null(cores);
    CPU_ZERO(&all);
    for (int i = 0; i < CPU_COUNT(&before); i++) {
        assert_true(relay_cores_enter_next(cores, &error));
        g_thread_join(g_thread_new("bound", look, &seen));
        assert_int_equal(CPU_COUNT(&seen), 1);
        CPU_OR(&all, &all, &seen);
    }
    assert_true(CPU_EQUAL(&all, &before));
    assert_true(relay_cores_enter_next(cores, &error)); // around again
    relay_cores_leave(cores);
    seen = allowed();
    assert_true(CPU_EQUAL(&seen, &before));
    relay_cores_free(cores);
}

static void only_the_named_ones_are_used(void **state)
{
    cpu_set_t before = allowed();
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &before))
        last--;
    g_autofree char *text = g_strdup_printf("%d, %d", last, last);
    RelayCores *cores = relay_cores_new(text, NULL);
    assert_non_null(cores);
    for (guint i = 0; i < 3; i++) {
        assert_true(relay_cores_enter_next(cores, NULL));
        cpu_set_t now = allowed();
        assert_int_equal(CPU_COUNT(&now), 1);
        assert_true(CPU_ISSET(last, &now));
    }
    relay_cores_leave(cores);
    relay_cores_free(cores);
}

static void nothing_is_bound_unasked(void **state)
{
    cpu_set_t before = allowed();
    RelayCores *cores = relay_cores_new("false", NULL);
    assert_true(relay_cores_enter_next(cores, NULL));
    cpu_set_t now = allowed();
    assert_true(CPU_EQUAL(&now, &before));
    relay_cores_free(cores);
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *word;
    } bad[] = {{"yes", "\"yes\""},    {"0,", "\"\""},       {"-1", "\"-1\""},
               {"1023", "core 1023"}, {"1024", "\"1024\""}, {"0;1", "\"0;1\""}};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(relay_cores_new(bad[i].text, &error));
        check_contains(error->message, bad[i].word);
        check_error(error, TK_ERROR_CONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_bound_in_turn),
        cmocka_unit_test(only_the_named_ones_are_used),
        cmocka_unit_test(nothing_is_bound_unasked),
        cmocka_unit_test(says_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
