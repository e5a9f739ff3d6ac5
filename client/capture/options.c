// SPDX-License-Identifier: MIT
#include "client/capture/options.h"

#include <gst/gst.h>
#include <string.h>

#include "client/peer/peer.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#define SOUND_KBPS 96
#define SOUND_LOW_KBPS 40 // with its packets' heads a line of 64 kbit/s carries it
#define LESSON_FILE_BYTES_MAX (64 * 1024)

// What GOption fills in.
typedef struct {
    char *relay, *source, *slides, *sound, *lesson_file, *lesson_id, *size, *transport, *copy;
    char *token_file, *encoder, *keep, *library, *web, *low_source, *low_size;
    gboolean low, loop, stats, list_devices, list_encoders, version, deliver;
    double keep_gib, keep_days, deliver_for;
    int fps, slides_fps, bitrate, slides_bitrate, low_bitrate, sound_bitrate;
    double duration;
    GPtrArray *fields; // "name", "value", …
} Raw;

static void raw_clear(Raw *raw)
{
    char **texts[] = {&raw->relay,       &raw->source,     &raw->slides,     &raw->sound,
                      &raw->lesson_file, &raw->lesson_id,  &raw->size,       &raw->transport,
                      &raw->copy,        &raw->token_file, &raw->encoder,    &raw->keep,
                      &raw->library,     &raw->web,        &raw->low_source, &raw->low_size};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(*texts[i]);
    g_ptr_array_unref(raw->fields);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Raw, raw_clear)

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
static gboolean fail(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(TK_ERROR, TK_ERROR_INVALID, format, args));
    va_end(args);
    return FALSE;
}

static gboolean starts_with_word(const char *text, const char *word, const char **ret_rest)
{
    gsize length = strlen(word);

    if (strncmp(text, word, length) != 0 || (text[length] != '\0' && text[length] != ':'))
        return FALSE;
    *ret_rest = text[length] == ':' && text[length + 1] ? text + length + 1 : NULL;
    return TRUE;
}

gboolean cap_source_spec_parse(const char *text, CapSourceSpec *ret, GError **error)
{
    const char *rest;

    if (g_str_equal(text, "test")) {
        *ret = (CapSourceSpec){CAP_SOURCE_TEST, NULL};
    } else if (starts_with_word(text, "camera", &rest)) {
        *ret = (CapSourceSpec){CAP_SOURCE_CAMERA, g_strdup(rest)};
    } else if (starts_with_word(text, "screen", &rest)) {
        *ret = (CapSourceSpec){CAP_SOURCE_SCREEN, g_strdup(rest)};
    } else if (g_str_has_prefix(text, "rtsp://") || g_str_has_prefix(text, "rtsps://") ||
               g_str_has_prefix(text, "srt://")) {
        *ret = (CapSourceSpec){CAP_SOURCE_URI, g_strdup(text)};
    } else if (strstr(text, "://")) {
        return fail(error, "\"%s\": addresses must begin with rtsp:// or srt://", text);
    } else if (!g_file_test(text, G_FILE_TEST_IS_REGULAR)) {
        return fail(error,
                    "\"%s\" is no file; sources are test, camera[:DEVICE], screen[:DISPLAY], "
                    "rtsp://…, srt://… or a media file",
                    text);
    } else {
        *ret = (CapSourceSpec){CAP_SOURCE_FILE, g_strdup(text)};
    }
    return TRUE;
}

gboolean cap_sound_spec_parse(const char *text, CapSourceSpec *ret, GError **error)
{
    const char *rest;

    if (g_str_equal(text, "test"))
        *ret = (CapSourceSpec){CAP_SOURCE_TEST, NULL};
    else if (g_str_equal(text, "none"))
        *ret = (CapSourceSpec){CAP_SOURCE_NONE, NULL};
    else if (starts_with_word(text, "mic", &rest))
        *ret = (CapSourceSpec){CAP_SOURCE_MIC, g_strdup(rest)};
    else
        return fail(error, "--audio %s: use mic[:DEVICE], test or none", text);
    return TRUE;
}

void cap_source_spec_clear(CapSourceSpec *spec)
{
    g_clear_pointer(&spec->where, g_free);
    spec->kind = CAP_SOURCE_NONE;
}

char *cap_source_spec_describe(const CapSourceSpec *spec)
{
    static const char *const words[] = {"nothing", "test lesson", "camera",     "screen",
                                        "",        "file",        "microphone", "the same"};

    if (spec->kind == CAP_SOURCE_URI) {
        const char *at = strrchr(spec->where, '@');
        const char *host = strstr(spec->where, "://") + 3;
        g_autofree char *scheme = g_strndup(spec->where, (gsize)(host - spec->where));
        g_autofree char *bare = g_strdup(at ? at + 1 : host);
        bare[strcspn(bare, "?")] = '\0'; // SRT's passphrase stands there
        return g_strconcat(scheme, bare, NULL);
    }
    if (!spec->where)
        return g_strdup(words[spec->kind]);
    return g_strdup_printf("%s %s", words[spec->kind], spec->where);
}

static gboolean on_field(const char *name, const char *value, gpointer data, GError **error)
{
    Raw *raw = data;

    g_ptr_array_add(raw->fields, g_strdup(name + 2));
    g_ptr_array_add(raw->fields, g_strdup(value));
    return TRUE;
}

static gboolean read_lesson_file(const char *path, TkLessonInfo *info, GError **error)
{
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autofree char *text = NULL;
    gsize length;

    if (!g_file_get_contents(path, &text, &length, error))
        return FALSE;
    if (length > LESSON_FILE_BYTES_MAX)
        return fail(error, "%s: larger than %d bytes", path, LESSON_FILE_BYTES_MAX);
    if (!g_key_file_load_from_data(file, text, length, G_KEY_FILE_NONE, error))
        return FALSE;
    g_auto(GStrv) keys = g_key_file_get_keys(file, "lesson", NULL, error);
    for (guint i = 0; keys && keys[i]; i++) {
        g_autofree char *value = g_key_file_get_string(file, "lesson", keys[i], error);
        if (!value || !tk_lesson_info_set(info, keys[i], value, error)) {
            g_prefix_error(error, "%s: %s: ", path, keys[i]);
            return FALSE;
        }
    }
    return keys != NULL;
}

static gboolean check_range(const char *name, int value, int min, int max, guint *ret,
                            GError **error)
{
    if (value < min || value > max)
        return fail(error, "--%s %d: must be %d to %d", name, value, min, max);
    *ret = (guint)value;
    return TRUE;
}

static gboolean check_size(const char *name, const char *text, guint *ret_width, guint *ret_height,
                           GError **error)
{
    g_auto(GStrv) parts = g_strsplit(text, "x", 2);
    guint64 width, height;

    if (!parts[0] || !parts[1] ||
        !g_ascii_string_to_unsigned(parts[0], 10, 160, 3840, &width, NULL) ||
        !g_ascii_string_to_unsigned(parts[1], 10, 90, 2160, &height, NULL) || width % 2 ||
        height % 2)
        return fail(error, "--%s %s: use WIDTHxHEIGHT in even numbers, 160x90 to 3840x2160", name,
                    text);
    *ret_width = (guint)width;
    *ret_height = (guint)height;
    return TRUE;
}

// The largest picture of the main one's shape inside what is asked for, in even numbers.
static void fit_low(CapOptions *o)
{
    guint64 width = MIN(o->low_width, o->width), height = MIN(o->low_height, o->height);

    if (width * o->height <= height * o->width)
        height = width * o->height / o->width;
    else
        width = height * o->width / o->height;
    o->low_width = MAX((guint)width / 2 * 2, 2);
    o->low_height = MAX((guint)height / 2 * 2, 2);
}

static gboolean check_low(const Raw *raw, CapOptions *o, GError **error)
{
    gboolean copied = o->copy == CAP_COPY_ALWAYS ||
                      (o->copy == CAP_COPY_AUTO && o->source.kind == CAP_SOURCE_URI);

    o->low = raw->low || raw->low_source;
    if (raw->low_source && !cap_source_spec_parse(raw->low_source, &o->low_source, error))
        return FALSE;
    if (raw->low_source && o->low_source.kind != CAP_SOURCE_URI)
        return fail(error, "--low-source %s: must begin with rtsp:// or srt://", raw->low_source);
    if (o->low && copied && !raw->low_source)
        return fail(error,
                    "--low: the picture of --source is passed on as it is. Give the camera's "
                    "sub stream by --low-source rtsp://…, or have both encoded here by "
                    "--copy never");
    if (!check_size("low-size", raw->low_size ? raw->low_size : "640x360", &o->low_width,
                    &o->low_height, error) ||
        !check_range("low-bitrate", raw->low_bitrate, 50, 20000, &o->low_bitrate_kbps, error))
        return FALSE;
    fit_low(o);
    return TRUE;
}

static gboolean check_relay(const char *text, GError **error)
{
    g_autofree char *lesson = NULL, *stream = NULL;

    if (!text)
        return fail(error, "--relay is missing: --relay rtsp://HOST:8554/LESSON");
    if (!client_url_check(text, error))
        return FALSE;
    g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, error);
    if (!uri || !tk_name_split_path(g_uri_get_path(uri), &lesson, &stream, error))
        return FALSE;
    if (!g_str_equal(stream, TK_STREAM_MAIN))
        return fail(error, "--relay must end with the lesson's name, not with a stream");
    return TRUE;
}

static gboolean check_lesson(const Raw *raw, CapOptions *o, GError **error)
{
    if (raw->lesson_file && !read_lesson_file(raw->lesson_file, o->info, error))
        return FALSE;
    for (guint i = 0; i < raw->fields->len; i += 2) {
        const char *name = raw->fields->pdata[i];
        if (!tk_lesson_info_set(o->info, name, raw->fields->pdata[i + 1], error)) {
            g_prefix_error(error, "--%s: ", name);
            return FALSE;
        }
    }
    if (raw->lesson_id && !tk_ulid_valid(raw->lesson_id))
        return fail(error, "--lesson-id %s is no lesson id", raw->lesson_id);
    o->lesson_id = g_strdup(raw->lesson_id);
    return TRUE;
}

// Where a service's state belongs, else a user's.
static char *keep_default(void)
{
    const char *service = g_getenv("STATE_DIRECTORY");
    return service ? g_build_filename(service, "copies", NULL)
                   : g_build_filename(g_get_user_state_dir(), "tongke", "copies", NULL);
}

static gboolean check_keep(const Raw *raw, CapOptions *o, GError **error)
{
    const char *urls[] = {raw->library, raw->web};

    if (!(raw->keep_gib >= 0.01 && raw->keep_gib <= 100000))
        return fail(error, "--keep-gib: must be 0.01 to 100000");
    if (!(raw->keep_days > 0 && raw->keep_days <= 3650))
        return fail(error, "--keep-days: must be more than 0 and at most 3650");
    if (!(raw->deliver_for >= 0 && raw->deliver_for <= 7 * 86400))
        return fail(error, "--deliver-for: must be 0 to 604800 seconds");
    for (guint i = 0; i < G_N_ELEMENTS(urls); i++)
        if (urls[i] && !g_str_has_prefix(urls[i], "http://") &&
            !g_str_has_prefix(urls[i], "https://"))
            return fail(error, "\"%s\" is no http:// or https:// address", urls[i]);
    if (g_strcmp0(raw->keep, "none") != 0)
        o->keep = raw->keep ? g_strdup(raw->keep) : keep_default();
    o->keep_bytes = (guint64)(raw->keep_gib * (double)(1ull << 30));
    o->keep_ns = (gint64)(raw->keep_days * 86400 * (double)TK_NS_PER_S);
    o->deliver_for_ns = (gint64)(raw->deliver_for * (double)TK_NS_PER_S);
    o->library = g_strdup(raw->library);
    o->web = g_strdup(raw->web);
    return TRUE;
}

static gboolean check(const Raw *raw, CapOptions *o, GError **error)
{
    static const char *const transports[] = {"auto", "udp", "tcp", NULL};
    static const char *const copies[] = {"auto", "always", "never", NULL};
    guint transport = CAP_TRANSPORT_AUTO, copy = CAP_COPY_AUTO;
    g_autoptr(GError) reason = NULL;

    if (!check_keep(raw, o, error) || !check_relay(raw->relay, error) ||
        !check_lesson(raw, o, error) ||
        !cap_source_spec_parse(raw->source ? raw->source : "test", &o->source, error) ||
        (raw->slides && !cap_source_spec_parse(raw->slides, &o->slides, error)) ||
        !check_size("size", raw->size ? raw->size : "1280x720", &o->width, &o->height, error) ||
        !check_range("fps", raw->fps, 1, 60, &o->fps, error) ||
        !check_range("slides-fps", raw->slides_fps, 1, 60, &o->slides_fps, error) ||
        !check_range("bitrate", raw->bitrate, 50, 20000, &o->bitrate_kbps, error) ||
        !check_range("slides-bitrate", raw->slides_bitrate, 50, 20000, &o->slides_bitrate_kbps,
                     error) ||
        !check_range("audio-bitrate",
                     raw->sound_bitrate            ? raw->sound_bitrate
                     : raw->low || raw->low_source ? SOUND_LOW_KBPS
                                                   : SOUND_KBPS,
                     32, 320, &o->sound_bitrate_kbps, error) ||
        !client_choose("transport", raw->transport, transports, &transport, error) ||
        !client_choose("copy", raw->copy, copies, &copy, error))
        return FALSE;
    o->copy = (CapCopy)copy;
    if (!check_low(raw, o, error))
        return FALSE;
    if (raw->sound) {
        if (!cap_sound_spec_parse(raw->sound, &o->sound, error))
            return FALSE;
    } else if (o->source.kind == CAP_SOURCE_CAMERA || o->source.kind == CAP_SOURCE_SCREEN) {
        o->sound.kind = CAP_SOURCE_MIC;
    } else {
        o->sound.kind = CAP_SOURCE_WITH_PICTURE;
    }
    if (!(raw->duration >= 0 && raw->duration <= 86400))
        return fail(error, "--duration: must be 0 to 86400 seconds");
    o->relay = g_strdup(raw->relay);
    o->duration_ns = (gint64)(raw->duration * (double)TK_NS_PER_S);
    o->transport = (CapTransport)transport;
    o->loop = raw->loop;
    o->stats = raw->stats;
    o->encoder = g_strcmp0(raw->encoder, "auto") == 0 ? NULL : g_strdup(raw->encoder);
    o->token = client_token_read(raw->token_file, &reason);
    if (reason) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    return TRUE;
}

static void add_lesson_group(GOptionContext *context, Raw *raw)
{
    const char *const *fields = tk_lesson_info_fields();
    g_autoptr(GArray) entries = g_array_new(TRUE, TRUE, sizeof(GOptionEntry));
    GOptionGroup *group =
        g_option_group_new("lesson", "What the lesson is:", "Show the lesson's options", raw, NULL);

    for (guint i = 0; fields[i]; i++) {
        GOptionEntry entry = {.long_name = fields[i],
                              .flags = G_OPTION_FLAG_FILENAME,
                              .arg = G_OPTION_ARG_CALLBACK,
                              .arg_data = (gpointer)on_field,
                              .description = "Of the lesson",
                              .arg_description = "TEXT"};
        g_array_append_val(entries, entry);
    }
    g_option_group_add_entries(group, (GOptionEntry *)(void *)entries->data);
    g_option_context_add_group(context, group);
}

static void add_keep_group(GOptionContext *context, Raw *raw)
{
    const GOptionEntry entries[] = {
        {"keep", 0, 0, G_OPTION_ARG_FILENAME, &raw->keep,
         "Where what is encoded is kept, too; none: nowhere", "FOLDER"},
        {"keep-gib", 0, 0, G_OPTION_ARG_DOUBLE, &raw->keep_gib, "At most, default 20", "GIB"},
        {"keep-days", 0, 0, G_OPTION_ARG_DOUBLE, &raw->keep_days, "At most, default 14", "DAYS"},
        {"library", 0, 0, G_OPTION_ARG_STRING, &raw->library,
         "Where missing stretches are delivered; default: as the relay says", "URL"},
        {"web", 0, 0, G_OPTION_ARG_STRING, &raw->web,
         "The relay's own address for that; default: its host by https, or port 8080", "URL"},
        {"deliver-for", 0, 0, G_OPTION_ARG_DOUBLE, &raw->deliver_for,
         "Go on delivering after the lesson for so long, default 3600", "SECONDS"},
        {"deliver", 0, 0, G_OPTION_ARG_NONE, &raw->deliver,
         "Send nothing: deliver what is kept, and end", NULL},
        {NULL},
    };
    GOptionGroup *group =
        g_option_group_new("keep", "The local copy:", "Show the local copy's options", raw, NULL);

    g_option_group_add_entries(group, entries);
    g_option_context_add_group(context, group);
}

static void add_low_group(GOptionContext *context, Raw *raw)
{
    const GOptionEntry entries[] = {
        {"low", 0, 0, G_OPTION_ARG_NONE, &raw->low, "Send the picture a second time, smaller",
         NULL},
        {"low-source", 0, 0, G_OPTION_ARG_STRING, &raw->low_source,
         "A network camera's sub stream instead, as it is", "rtsp://…"},
        {"low-size", 0, 0, G_OPTION_ARG_STRING, &raw->low_size, "At most, default 640x360", "WxH"},
        {"low-bitrate", 0, 0, G_OPTION_ARG_INT, &raw->low_bitrate, "Of that picture, default 240",
         "KBIT/S"},
        {NULL},
    };
    GOptionGroup *group =
        g_option_group_new("low", "For weak lines:", "Show the options for weak lines", raw, NULL);

    g_option_group_add_entries(group, entries);
    g_option_context_add_group(context, group);
}

static gboolean parse_raw(int argc, char **argv, Raw *raw, GError **error)
{
    const GOptionEntry entries[] = {
        {"relay", 'r', 0, G_OPTION_ARG_STRING, &raw->relay, "Where the lesson goes",
         "rtsp://HOST:8554/LESSON"},
        {"source", 's', 0, G_OPTION_ARG_FILENAME, &raw->source,
         "test (default), camera[:DEVICE], screen[:DISPLAY], rtsp://…, srt://… or a media file",
         "SOURCE"},
        {"slides", 0, 0, G_OPTION_ARG_FILENAME, &raw->slides, "A second picture beside it",
         "SOURCE"},
        {"audio", 'a', 0, G_OPTION_ARG_STRING, &raw->sound,
         "mic[:DEVICE], test or none; default: the source's own, or the microphone", "SOUND"},
        {"loop", 'l', 0, G_OPTION_ARG_NONE, &raw->loop, "Play files again and again", NULL},
        {"duration", 'd', 0, G_OPTION_ARG_DOUBLE, &raw->duration, "End after so long", "SECONDS"},
        {"lesson-file", 'f', 0, G_OPTION_ARG_FILENAME, &raw->lesson_file,
         "Key file whose group [lesson] says what the lesson is", "FILE"},
        {"lesson-id", 0, 0, G_OPTION_ARG_STRING, &raw->lesson_id, "Go on with this lesson", "ID"},
        {"size", 0, 0, G_OPTION_ARG_STRING, &raw->size, "Default 1280x720", "WxH"},
        {"fps", 0, 0, G_OPTION_ARG_INT, &raw->fps, "Pictures a second, default 25", "N"},
        {"slides-fps", 0, 0, G_OPTION_ARG_INT, &raw->slides_fps, "Default 5", "N"},
        {"bitrate", 'b', 0, G_OPTION_ARG_INT, &raw->bitrate, "Of the picture, default 2000",
         "KBIT/S"},
        {"slides-bitrate", 0, 0, G_OPTION_ARG_INT, &raw->slides_bitrate, "Default 600", "KBIT/S"},
        {"audio-bitrate", 0, 0, G_OPTION_ARG_INT, &raw->sound_bitrate,
         "Default 96, with --low 40; below 64 one channel", "KBIT/S"},
        {"copy", 0, 0, G_OPTION_ARG_STRING, &raw->copy,
         "Pass H.264 on as it is: auto (rtsp and srt; default), always (files too), never", "WHEN"},
        {"encoder", 'e', 0, G_OPTION_ARG_STRING, &raw->encoder,
         "auto (default) or one of --list-encoders", "NAME"},
        {"transport", 't', 0, G_OPTION_ARG_STRING, &raw->transport, "auto (default), udp or tcp",
         "HOW"},
        {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &raw->token_file,
         "File with the sender's token; else $TONGKE_TOKEN", "FILE"},
        {"stats", 0, 0, G_OPTION_ARG_NONE, &raw->stats, "A line every five seconds", NULL},
        {"list-devices", 0, 0, G_OPTION_ARG_NONE, &raw->list_devices,
         "Cameras, screens, microphones", NULL},
        {"list-encoders", 0, 0, G_OPTION_ARG_NONE, &raw->list_encoders, "Encoders that work here",
         NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &raw->version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context =
        g_option_context_new("- publish a lesson to a Tongke relay");
    g_auto(GStrv) arguments = g_new0(char *, argc + 1);

    for (int i = 0; i < argc; i++)
        arguments[i] = g_strdup(argv[i]);
    g_option_context_add_main_entries(context, entries, NULL);
    add_lesson_group(context, raw);
    add_low_group(context, raw);
    add_keep_group(context, raw);
    g_option_context_add_group(context, gst_init_get_option_group());
    if (!g_option_context_parse_strv(context, &arguments, error))
        return FALSE;
    if (arguments[0] && arguments[1])
        return fail(error, "\"%s\" is not understood; see --help", arguments[1]);
    return TRUE;
}

CapOptions *cap_options_parse(int argc, char **argv, GError **error)
{
    g_auto(Raw) raw = {.fps = 25,
                       .slides_fps = 5,
                       .bitrate = 2000,
                       .slides_bitrate = 600,
                       .low_bitrate = 240,
                       .keep_gib = 20,
                       .keep_days = 14,
                       .deliver_for = 3600,
                       .fields = g_ptr_array_new_with_free_func(g_free)};
    g_autoptr(CapOptions) options = g_new0(CapOptions, 1);

    options->info = tk_lesson_info_new();
    if (!parse_raw(argc, argv, &raw, error))
        return NULL;
    if (raw.list_devices || raw.list_encoders || raw.version) {
        options->run = raw.version        ? CAP_RUN_VERSION
                       : raw.list_devices ? CAP_RUN_LIST_DEVICES
                                          : CAP_RUN_LIST_ENCODERS;
        return g_steal_pointer(&options);
    }
    if (raw.deliver) {
        g_autoptr(GError) reason = NULL;
        options->run = CAP_RUN_DELIVER;
        options->token = client_token_read(raw.token_file, &reason);
        if (reason)
            g_propagate_error(error, g_steal_pointer(&reason));
        else if (check_keep(&raw, options, error))
            return g_steal_pointer(&options);
        return NULL;
    }
    return check(&raw, options, error) ? g_steal_pointer(&options) : NULL;
}

void cap_options_free(CapOptions *options)
{
    if (!options)
        return;
    cap_source_spec_clear(&options->source);
    cap_source_spec_clear(&options->slides);
    cap_source_spec_clear(&options->low_source);
    cap_source_spec_clear(&options->sound);
    tk_lesson_info_free(options->info);
    g_free(options->relay);
    g_free(options->lesson_id);
    g_free(options->token);
    g_free(options->encoder);
    g_free(options->keep);
    g_free(options->library);
    g_free(options->web);
    g_free(options);
}
