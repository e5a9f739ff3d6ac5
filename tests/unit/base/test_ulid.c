// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/base/ulid.h"

static void ids_hold_their_time(void **state)
{
    // github.com/ulid/spec: 1469918176385 ms is 01ARYZ6S41.
    gint64 wall_ns = G_GINT64_CONSTANT(1469918176385) * TK_NS_PER_MS;
    g_autofree char *id = tk_ulid_new(wall_ns + 999999);

    assert_true(tk_ulid_valid(id));
    assert_int_equal(strlen(id), TK_ULID_LENGTH);
    assert_memory_equal(id, "01ARYZ6S41", 10);
    assert_int_equal(tk_ulid_wall_ns(id), wall_ns);
}

static void ids_sort_by_time(void **state)
{
    g_autofree char *before = NULL;

    for (gint64 ms = 1; ms < G_GINT64_CONSTANT(9000000000000); ms = ms * 3 + 1) {
        g_autofree char *id = tk_ulid_new(ms * TK_NS_PER_MS);
        assert_int_equal(tk_ulid_wall_ns(id), ms * TK_NS_PER_MS);
        assert_true(!before || strcmp(before, id) < 0);
        g_free(before);
        before = g_steal_pointer(&id);
    }
}

static void ids_of_one_moment_differ(void **state)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (int i = 0; i < 10000; i++)
        assert_true(g_hash_table_add(seen, tk_ulid_new(TK_NS_PER_S)));
}

static void times_out_of_range_stay_in_it(void **state)
{
    g_autofree char *before_1970 = tk_ulid_new(-5);
    g_autofree char *last = tk_ulid_new(G_MAXINT64);

    assert_int_equal(tk_ulid_wall_ns(before_1970), 0);
    assert_true(tk_ulid_valid(last));
    // The greatest id's time is the year 10889, which nanoseconds cannot hold.
    assert_int_equal(tk_ulid_wall_ns("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), G_MAXINT64);
}

static void only_the_canonical_form_is_valid(void **state)
{
    static const char *const wrong[] = {
        "",
        "01ARZ3NDEKTSV4RRFFQ69G5FA",
        "01ARZ3NDEKTSV4RRFFQ69G5FAVV",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5FA/",
        "../../../../../../../../..",
    };

    assert_true(tk_ulid_valid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    assert_false(tk_ulid_valid(NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        if (tk_ulid_valid(wrong[i]))
            fail_msg("%s was taken for an id", wrong[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_hold_their_time),
        cmocka_unit_test(ids_sort_by_time),
        cmocka_unit_test(ids_of_one_moment_differ),
        cmocka_unit_test(times_out_of_range_stay_in_it),
        cmocka_unit_test(only_the_canonical_form_is_valid),
    };

    return cmocka_run_group_tests_name("base-ulid", tests, NULL, NULL);
}
