// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/log.h"

// What tk_log() writes goes to the process's stderr: it is turned into a file for a while.
typedef struct {
    int file, saved;
} Capture;

static Capture capture_begin(const char *level, const char *form)
{
    Capture capture;
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "tongke-test-XXXXXX", NULL);

    g_setenv("TONGKE_LOG", level, TRUE);
    g_setenv("TONGKE_LOG_FORMAT", form, TRUE);
    tk_log_init("relay");
    capture.file = g_mkstemp(path);
    assert_true(capture.file >= 0);
    unlink(path);
    capture.saved = dup(STDERR_FILENO);
    dup2(capture.file, STDERR_FILENO);
    return capture;
}

static char *capture_end(Capture capture)
{
    off_t length = lseek(capture.file, 0, SEEK_END);
    char *text = g_malloc0((gsize)length + 1);

    dup2(capture.saved, STDERR_FILENO);
    close(capture.saved);
    assert_int_equal(pread(capture.file, text, (gsize)length, 0), length);
    close(capture.file);
    return text;
}

static guint count_lines(const char *text)
{
    guint n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void text_lines_have_their_form(void **state)
{
    Capture capture = capture_begin("info", "text");

    tk_log(TK_LOG_INFO, &(TkLogFields){"math", "main", "10.0.0.1:5000", "away"}, "%d viewers", 3);
    g_autofree char *text = capture_end(capture);
    assert_int_equal(text[29], ' ');
    assert_string_equal(text + 29, " info relay: 3 viewers lesson=math stream=main "
                                   "peer=10.0.0.1:5000 reason=away\n");
    text[29] = '\0';
    gint64 wall_ns;
    assert_true(tk_clock_parse_rfc3339(text, &wall_ns, NULL));
    assert_string_equal(text + 23, "+08:00");
}

static void levels_are_obeyed(void **state)
{
    Capture capture = capture_begin("warning", "text");

    tk_error("one");
    tk_warning("two");
    tk_info("three");
    tk_debug("four");
    assert_true(tk_log_enabled(TK_LOG_WARNING));
    assert_false(tk_log_enabled(TK_LOG_INFO));
    g_autofree char *text = capture_end(capture);
    assert_int_equal(count_lines(text), 2);
    check_contains(text, " error relay: one\n");
    check_contains(text, " warning relay: two\n");
}

static void names_cannot_forge_lines(void **state)
{
    Capture capture = capture_begin("info", "text");

    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = "a\nb", .reason = "x \"y\" z=\\"}, "%s",
           "m\r\n2026 error relay: \x1b[2J\x7f\xc2\x9b\xe2\x80\xa8\xff课");
    g_autofree char *text = capture_end(capture);
    assert_int_equal(count_lines(text), 1);
    check_contains(text, "m\\x0d\\x0a2026 error relay: \\x1b[2J\\x7f\\x9b\\u2028\\xff课");
    check_contains(text, " lesson=a\\x0ab ");
    check_contains(text, " reason=\"x \\\"y\\\" z=\\\\\"\n");
}

static void long_messages_are_cut_between_characters(void **state)
{
    Capture capture = capture_begin("info", "text");
    GString *message = g_string_new("x");

    for (int i = 0; i < 100000; i++)
        g_string_append(message, "课");
    tk_info("%s", message->str);
    g_string_free(message, TRUE);
    g_autofree char *text = capture_end(capture);
    assert_true(strlen(text) < 4096);
    assert_true(g_utf8_validate(text, -1, NULL));
    assert_null(strstr(text, "\\x"));
    assert_true(g_str_has_suffix(text, "课…\n"));
}

static void json_lines_are_json(void **state)
{
    Capture capture = capture_begin("info", "json");

    tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = "math", .peer = "\xff"}, "a \"b\"\n%s", "课");
    g_autofree char *text = capture_end(capture);
    assert_int_equal(count_lines(text), 1);
    g_autoptr(json_t) line = tk_json_parse(text, strlen(text), 4096, NULL);
    assert_non_null(line);
    assert_string_equal(tk_json_string(line, "level", ""), "warning");
    assert_string_equal(tk_json_string(line, "program", ""), "relay");
    assert_string_equal(tk_json_string(line, "message", ""), "a \"b\"\n课");
    assert_string_equal(tk_json_string(line, "lesson", ""), "math");
    assert_null(tk_json_string(line, "stream", NULL));
    gint64 wall_ns;
    assert_true(tk_clock_parse_rfc3339(tk_json_string(line, "time", ""), &wall_ns, NULL));
}

static void libraries_lines_are_taken_over(void **state)
{
    Capture capture = capture_begin("info", "text");

    g_log("Soup", G_LOG_LEVEL_WARNING, "odd\nthing");
    g_log("Soup", G_LOG_LEVEL_INFO, "chatter");
    g_autofree char *text = capture_end(capture);
    assert_int_equal(count_lines(text), 1);
    check_contains(text, " warning relay: Soup: odd\\x0athing\n");
}

static gpointer write_lines(gpointer data)
{
    for (int i = 0; i < 500; i++)
        tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = data},
               "line of a thread, whole or not at all");
    return NULL;
}

static void threads_do_not_mix(void **state)
{
    Capture capture = capture_begin("info", "text");
    GThread *threads[4];

    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("log", write_lines, (gpointer) "math");
    for (gsize i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    g_autofree char *text = capture_end(capture);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    guint n = 0;
    for (; lines[n] && *lines[n]; n++)
        assert_string_equal(lines[n] + 29,
                            " info relay: line of a thread, whole or not at all lesson=math");
    assert_int_equal(n, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_have_their_form),
        cmocka_unit_test(levels_are_obeyed),
        cmocka_unit_test(names_cannot_forge_lines),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(libraries_lines_are_taken_over),
        cmocka_unit_test(threads_do_not_mix),
    };

    g_setenv("TZ", "Asia/Shanghai", TRUE);
    return cmocka_run_group_tests_name("base-log", tests, NULL, NULL);
}
