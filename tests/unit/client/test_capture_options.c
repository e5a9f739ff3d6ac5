// SPDX-License-Identifier: MIT
#include <glib/gstdio.h>
#include <string.h>

#include "tests/unit/check.h"

#include "client/capture/options.h"

#define RELAY "--relay", "rtsp://127.0.0.1:8554/math"

static CapOptions *parse(GError **error, const char *first, ...) G_GNUC_NULL_TERMINATED;
static CapOptions *parse(GError **error, const char *first, ...)
{
    const char *argv[32] = {"tongke-capture"};
    int argc = 1;
    va_list args;

    va_start(args, first);
    for (const char *a = first; a; a = va_arg(args, const char *))
        argv[argc++] = a;
    va_end(args);
    return cap_options_parse(argc, (char **)argv, error);
}

static void defaults_suit_a_classroom(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) o = parse(&error, RELAY, NULL);

    assert_non_null(o);
    assert_int_equal(o->run, CAP_RUN_CAPTURE);
    assert_string_equal(o->relay, "rtsp://127.0.0.1:8554/math");
    assert_int_equal(o->source.kind, CAP_SOURCE_TEST);
    assert_int_equal(o->slides.kind, CAP_SOURCE_NONE);
    assert_int_equal(o->sound.kind, CAP_SOURCE_WITH_PICTURE);
    assert_int_equal(o->width, 1280);
    assert_int_equal(o->height, 720);
    assert_int_equal(o->fps, 25);
    assert_int_equal(o->slides_fps, 5);
    assert_int_equal(o->bitrate_kbps, 2000);
    assert_int_equal(o->duration_ns, 0);
    assert_int_equal(o->transport, CAP_TRANSPORT_AUTO);
    assert_int_equal(o->copy, CAP_COPY_AUTO);
    assert_null(o->encoder);
    assert_null(o->lesson_id);
}

static void every_option_is_taken(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) o =
        parse(&error, RELAY, "--source", "camera:/dev/video7", "--slides", "screen::1", "--audio",
              "mic:hw:1,0", "--title", "函数的单调性", "--teacher", "王老师", "--size", "1920x1080",
              "--fps", "30", "--bitrate", "4000", "--duration", "40.5", "--transport", "tcp",
              "--copy", "never", "--encoder", "x264enc", "--loop", NULL);

    if (!o)
        fail_msg("%s", error->message);
    assert_int_equal(o->source.kind, CAP_SOURCE_CAMERA);
    assert_string_equal(o->source.where, "/dev/video7");
    assert_int_equal(o->slides.kind, CAP_SOURCE_SCREEN);
    assert_string_equal(o->slides.where, ":1");
    assert_int_equal(o->sound.kind, CAP_SOURCE_MIC);
    assert_string_equal(o->sound.where, "hw:1,0");
    assert_string_equal(tk_lesson_info_get(o->info, "title"), "函数的单调性");
    assert_string_equal(tk_lesson_info_get(o->info, "teacher"), "王老师");
    assert_int_equal(o->width, 1920);
    assert_int_equal(o->height, 1080);
    assert_int_equal(o->duration_ns, 40500000000);
    assert_int_equal(o->transport, CAP_TRANSPORT_TCP);
    assert_int_equal(o->copy, CAP_COPY_NEVER);
    assert_string_equal(o->encoder, "x264enc");
    assert_true(o->loop);
}

static void each_field_of_a_lesson_is_an_option(void **state)
{
    const char *const *fields = tk_lesson_info_fields();

    for (guint i = 0; fields[i]; i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *option = g_strdup_printf("--%s=值", fields[i]);
        g_autoptr(CapOptions) o = parse(&error, RELAY, option, NULL);
        if (!o)
            fail_msg("%s: %s", option, error->message);
        assert_string_equal(tk_lesson_info_get(o->info, fields[i]), "值");
    }
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[][2] = {
        {"--relay", "http://h/math"},
        {"--relay", "rtsp://h/math/slides"},
        {"--relay", "rtsp://u:p@h/math"},
        {"--source", "rtmp://h/x"},
        {"--source", "/no/such/file.mp4"},
        {"--source", "cameras"},
        {"--audio", "loud"},
        {"--size", "1280"},
        {"--size", "1281x720"},
        {"--size", "1280x720x2"},
        {"--size", "-1x720"},
        {"--size", "99999x720"},
        {"--fps", "0"},
        {"--fps", "61"},
        {"--bitrate", "1"},
        {"--duration", "-1"},
        {"--duration", "nan"},
        {"--transport", "sctp"},
        {"--copy", "maybe"},
        {"--lesson-id", "not-a-ulid"},
        {"--low-size", "640"},
        {"--low-bitrate", "1"},
        {"--low-source", "/dev/video0"},
        {"--title", "\xff\xfe"},
        {"--lesson-file", "/no/such/file"},
        {"--token-file", "/no/such/file"},
        {"--nonsense", "1"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(CapOptions) o = parse(&error, RELAY, bad[i][0], bad[i][1], NULL);
        if (o)
            fail_msg("%s %s was taken", bad[i][0], bad[i][1]);
        assert_non_null(error);
    }
    g_autoptr(GError) error = NULL;
    assert_null(parse(&error, "--source", "test", NULL));
    check_contains(error->message, "--relay");
}

static void lesson_file_is_read_and_options_win(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("tongke-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "lesson.conf", NULL);
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, "[lesson]\ntitle=从文件\nsubject=数学\n", -1, NULL);
    CapOptions *o = parse(&error, RELAY, "--lesson-file", path, "--title", "从命令行", NULL);
    assert_non_null(o);
    assert_string_equal(tk_lesson_info_get(o->info, "title"), "从命令行");
    assert_string_equal(tk_lesson_info_get(o->info, "subject"), "数学");
    cap_options_free(o);

    g_file_set_contents(path, "[lesson]\ntitel=verschrieben\n", -1, NULL);
    assert_null(parse(&error, RELAY, "--lesson-file", path, NULL));
    check_contains(error->message, "titel");
    g_clear_error(&error);
    g_file_set_contents(path, "[other]\n", -1, NULL);
    assert_null(parse(&error, RELAY, "--lesson-file", path, NULL));
    g_unlink(path);
    g_rmdir(folder);
}

static void cameras_bring_the_microphone(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) camera = parse(&error, RELAY, "--source", "camera", NULL);
    g_autoptr(CapOptions) silent =
        parse(&error, RELAY, "--source", "screen", "--audio", "none", NULL);

    assert_int_equal(camera->sound.kind, CAP_SOURCE_MIC);
    assert_int_equal(silent->sound.kind, CAP_SOURCE_NONE);
}

static void a_low_rendition_has_the_shape_of_main(void **state)
{
    static const struct {
        const char *size, *low_size;
        guint width, height;
    } sizes[] = {
        {"1280x720", "640x360", 640, 360}, {"1920x1080", "640x360", 640, 360},
        {"1024x768", "640x360", 480, 360}, {"320x240", "640x360", 320, 240},
        {"1280x720", "640x640", 640, 360}, {"720x1280", "640x360", 202, 360},
        {"3840x160", "640x360", 640, 26},
    };

    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(CapOptions) o = parse(&error, RELAY, "--low", "--size", sizes[i].size,
                                        "--low-size", sizes[i].low_size, NULL);
        if (!o)
            fail_msg("%s", error->message);
        assert_true(o->low);
        if (o->low_width != sizes[i].width || o->low_height != sizes[i].height)
            fail_msg("%s in %s: %ux%u", sizes[i].size, sizes[i].low_size, o->low_width,
                     o->low_height);
    }
}

static void low_is_sent_when_it_is_asked_for(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) without = parse(&error, RELAY, NULL);
    g_autoptr(CapOptions) with = parse(&error, RELAY, "--low", "--low-bitrate", "200", NULL);
    g_autoptr(CapOptions) louder = parse(&error, RELAY, "--low", "--audio-bitrate", "96", NULL);

    assert_false(without->low);
    assert_int_equal(without->sound_bitrate_kbps, 96);
    assert_int_equal(with->low_bitrate_kbps, 200);
    assert_int_equal(with->sound_bitrate_kbps, 40);
    assert_int_equal(louder->sound_bitrate_kbps, 96);
}

static void a_cameras_low_is_its_sub_stream(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) both =
        parse(&error, RELAY, "--source", "rtsp://c/main", "--low-source", "rtsp://c/sub", NULL);
    g_autoptr(CapOptions) anew =
        parse(&error, RELAY, "--source", "rtsp://c/main", "--low", "--copy", "never", NULL);

    assert_true(both && both->low);
    assert_string_equal(both->low_source.where, "rtsp://c/sub");
    assert_true(anew && anew->low && anew->low_source.kind == CAP_SOURCE_NONE);
    assert_null(parse(&error, RELAY, "--source", "rtsp://c/main", "--low", NULL));
    check_contains(error->message, "--low-source");
    check_contains(error->message, "--copy never");
}

static void descriptions_keep_secrets(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(CapOptions) camera =
        parse(&error, RELAY, "--source", "rtsp://admin:geheim@10.0.0.9/ch1", NULL);
    g_autoptr(CapOptions) obs =
        parse(&error, RELAY, "--source", "srt://:7001?passphrase=geheim", NULL);
    g_autofree char *a = cap_source_spec_describe(&camera->source);
    g_autofree char *b = cap_source_spec_describe(&obs->source);

    assert_string_equal(a, "rtsp://10.0.0.9/ch1");
    assert_string_equal(b, "srt://:7001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_suit_a_classroom),
        cmocka_unit_test(every_option_is_taken),
        cmocka_unit_test(each_field_of_a_lesson_is_an_option),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(lesson_file_is_read_and_options_win),
        cmocka_unit_test(cameras_bring_the_microphone),
        cmocka_unit_test(a_low_rendition_has_the_shape_of_main),
        cmocka_unit_test(low_is_sent_when_it_is_asked_for),
        cmocka_unit_test(a_cameras_low_is_its_sub_stream),
        cmocka_unit_test(descriptions_keep_secrets),
    };

    return cmocka_run_group_tests_name("capture-options", tests, NULL, NULL);
}
