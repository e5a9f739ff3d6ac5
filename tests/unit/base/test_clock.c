// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"

static void use_zone(const char *zone)
{
    g_setenv("TZ", zone, TRUE);
    tzset();
}

static gint64 parsed(const char *text)
{
    g_autoptr(GError) error = NULL;
    gint64 wall_ns = 0;

    if (!tk_clock_parse_rfc3339(text, &wall_ns, &error))
        fail_msg("%s: %s", text, error->message);
    return wall_ns;
}

static void refused(const char *text)
{
    g_autoptr(GError) error = NULL;
    gint64 wall_ns = 77;

    if (tk_clock_parse_rfc3339(text, &wall_ns, &error))
        fail_msg("\"%s\" was taken for a time", text);
    check_error(error, TK_ERROR_INVALID);
    assert_int_equal(wall_ns, 77);
}

static void shown(gint64 wall_ns, const char *expected)
{
    g_autofree char *text = tk_clock_format_rfc3339(wall_ns);

    assert_string_equal(text, expected);
}

static void clocks_run(void **state)
{
    gint64 before = tk_clock_monotonic_ns();
    gint64 wall = tk_clock_wall_ns();

    assert_true(tk_clock_monotonic_ns() >= before);
    // Later than when this was written, earlier than 2262.
    assert_true(wall > parsed("2026-01-01T00:00:00Z"));
}

static void format_has_the_zones_offset(void **state)
{
    use_zone("Asia/Shanghai");
    shown(parsed("2026-11-22T02:05:00.123Z"), "2026-11-22T10:05:00.123+08:00");
    use_zone("UTC");
    shown(0, "1970-01-01T00:00:00.000+00:00");
    use_zone("Asia/Kathmandu");
    shown(0, "1970-01-01T05:30:00.000+05:30");
    use_zone("America/St_Johns");
    shown(parsed("2026-07-01T00:00:00Z"), "2026-06-30T21:30:00.000-02:30");
}

static void format_follows_summer_time(void **state)
{
    use_zone("Europe/Berlin");
    gint64 change = parsed("2026-10-25T01:00:00Z");
    shown(change - TK_NS_PER_MS, "2026-10-25T02:59:59.999+02:00");
    shown(change, "2026-10-25T02:00:00.000+01:00");
}

static void format_before_1970_and_odd_zones(void **state)
{
    use_zone("UTC");
    shown(-1, "1969-12-31T23:59:59.999+00:00");
    shown(-TK_NS_PER_S, "1969-12-31T23:59:59.000+00:00");
    // Shanghai's local mean time was 8:05:43, which RFC 3339 cannot say.
    use_zone("Asia/Shanghai");
    shown(parsed("1900-01-01T00:00:00Z"), "1900-01-01T00:00:00.000+00:00");
}

static void parse_takes_any_offset(void **state)
{
    gint64 expected = G_GINT64_CONSTANT(1795313100) * TK_NS_PER_S;

    assert_int_equal(parsed("2026-11-22T02:05:00Z"), expected);
    assert_int_equal(parsed("2026-11-22T10:05:00+08:00"), expected);
    assert_int_equal(parsed("2026-11-21T16:35:00-09:30"), expected);
    assert_int_equal(parsed("2026-11-22t02:05:00z"), expected);
    assert_int_equal(parsed("2026-11-22 02:05:00-00:00"), expected);
    assert_int_equal(parsed("2026-11-22T02:05:00.000000001Z"), expected + 1);
    assert_int_equal(parsed("2026-11-22T02:05:00.5Z"), expected + 500 * TK_NS_PER_MS);
    assert_int_equal(parsed("2026-11-22T02:05:00.12345678999999Z"), expected + 123456789);
    assert_int_equal(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01T00:00:00Z"));
}

static void parse_takes_a_date_as_local_midnight(void **state)
{
    use_zone("Asia/Shanghai");
    assert_int_equal(parsed("2026-11-22"), parsed("2026-11-21T16:00:00Z"));
    use_zone("Europe/Berlin");
    assert_int_equal(parsed("2026-07-01"), parsed("2026-06-30T22:00:00Z"));
    assert_int_equal(parsed("2026-12-01"), parsed("2026-11-30T23:00:00Z"));
}

static void parse_refuses_what_is_no_time(void **state)
{
    static const char *const wrong[] = {
        "",
        "now",
        "2026",
        "2026-11",
        "2026-1-2",
        "2026-13-01",
        "2026-02-29",
        "2026-04-31",
        "2026-11-22T",
        "2026-11-22T10:05",
        "2026-11-22T10:05:00",
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:60:00Z",
        "2026-11-22T10:05:61Z",
        "2026-11-22T10:05:00.Z",
        "2026-11-22T10:05:00+8:00",
        "2026-11-22T10:05:00+08",
        "2026-11-22T10:05:00+24:00",
        "2026-11-22T10:05:00Zx",
        " 2026-11-22",
        "-026-11-22",
        "0000-01-01T00:00:00Z",
        "9999-01-01T00:00:00Z",
        "２０２６-11-22",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        refused(wrong[i]);
    refused(NULL);
}

static void format_and_parse_agree(void **state)
{
    static const char *const zones[] = {"Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"};

    for (gsize z = 0; z < G_N_ELEMENTS(zones); z++) {
        use_zone(zones[z]);
        for (gint64 s = 0; s < 4000; s++) {
            gint64 wall_ns = s * 1234567 * TK_NS_PER_MS * 400;
            g_autofree char *text = tk_clock_format_rfc3339(wall_ns);
            assert_int_equal(parsed(text), wall_ns / TK_NS_PER_MS * TK_NS_PER_MS);
        }
    }
}

static void ntp_there_and_back(void **state)
{
    // RFC 5905 figure 4: 1970-01-01 is 2208988800 s.
    assert_true(tk_clock_ntp_from_wall(0) == G_GUINT64_CONSTANT(2208988800) << 32);
    assert_true(tk_clock_ntp_from_wall(TK_NS_PER_S / 2) ==
                ((G_GUINT64_CONSTANT(2208988800) << 32) | 0x80000000u));
    for (gint64 i = 0; i < 100000; i++) {
        gint64 wall_ns = i * G_GINT64_CONSTANT(40000000000123) + 999999999;
        if (wall_ns > parsed("2104-01-01T00:00:00Z"))
            break;
        assert_int_equal(tk_clock_wall_from_ntp(tk_clock_ntp_from_wall(wall_ns)), wall_ns);
    }
}

static void ntp_passes_2036(void **state)
{
    gint64 turn = parsed("2036-02-07T06:28:16Z");

    assert_true(tk_clock_ntp_from_wall(turn) == 0);
    assert_int_equal(tk_clock_wall_from_ntp(0), turn);
    assert_int_equal(tk_clock_wall_from_ntp(tk_clock_ntp_from_wall(turn - 1)), turn - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_run),
        cmocka_unit_test(format_has_the_zones_offset),
        cmocka_unit_test(format_follows_summer_time),
        cmocka_unit_test(format_before_1970_and_odd_zones),
        cmocka_unit_test(parse_takes_any_offset),
        cmocka_unit_test(parse_takes_a_date_as_local_midnight),
        cmocka_unit_test(parse_refuses_what_is_no_time),
        cmocka_unit_test(format_and_parse_agree),
        cmocka_unit_test(ntp_there_and_back),
        cmocka_unit_test(ntp_passes_2036),
    };

    return cmocka_run_group_tests_name("base-clock", tests, NULL, NULL);
}
