// SPDX-License-Identifier: MIT
#include "common/base/config.h"

#include <string.h>

#include "common/base/error.h"
#include "common/base/file.h"

#define FILE_MAX (256 * 1024)
#define HELP_COLUMNS 96

struct _TkConfig {
    const TkConfigField *fields;
    guint n_fields;
    char **values; // one for each field
};

// Where a value stands, for errors: "relay.conf:12", or "--set".
typedef struct {
    const char *name;
    guint line; // 0: none
} Place;

G_GNUC_PRINTF(3, 4)
static gboolean refuse(GError **error, const Place *place, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    if (place->line)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "%s:%u: %s", place->name, place->line, text);
    else
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "%s: %s", place->name, text);
    return FALSE;
}

static gboolean choice_allowed(const char *choices, const char *value)
{
    g_auto(GStrv) words = g_strsplit(choices, "|", -1);

    return g_strv_contains((const char *const *)words, value);
}

static gboolean check_value(const TkConfigField *field, const char *value, const Place *place,
                            GError **error)
{
    gint64 number;
    gsize length = strlen(value);

    switch (field->type) {
    case TK_CONFIG_STRING:
        if ((gint64)length >= field->min && (gint64)length <= field->max)
            return TRUE;
        return refuse(error, place,
                      "%s.%s is %" G_GSIZE_FORMAT " bytes long; %" G_GINT64_FORMAT
                      " to %" G_GINT64_FORMAT " are allowed",
                      field->group, field->key, length, field->min, field->max);
    case TK_CONFIG_INT:
        if (g_ascii_string_to_signed(value, 10, field->min, field->max, &number, NULL))
            return TRUE;
        return refuse(error, place,
                      "%s.%s must be a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                      field->group, field->key, field->min, field->max);
    case TK_CONFIG_BOOL:
        if (g_str_equal(value, "true") || g_str_equal(value, "false"))
            return TRUE;
        return refuse(error, place, "%s.%s must be true or false", field->group, field->key);
    case TK_CONFIG_CHOICE:
        if (choice_allowed(field->choices, value))
            return TRUE;
        return refuse(error, place, "%s.%s must be one of %s", field->group, field->key,
                      field->choices);
    }
    g_assert_not_reached();
}

TkConfig *tk_config_new(const TkConfigField *fields)
{
    TkConfig *config = g_new0(TkConfig, 1);

    config->fields = fields;
    while (fields[config->n_fields].key)
        config->n_fields++;
    config->values = g_new0(char *, config->n_fields + 1);
    for (guint i = 0; i < config->n_fields; i++) {
        g_autoptr(GError) error = NULL;
        if (!check_value(&fields[i], fields[i].fallback, &(Place){"default", 0}, &error))
            g_error("%s", error->message);
        config->values[i] = g_strdup(fields[i].fallback);
    }
    return config;
}

void tk_config_free(TkConfig *config)
{
    if (!config)
        return;
    g_strfreev(config->values);
    g_free(config);
}

// Edits (insert, delete, replace one byte) between two words.
static guint distance(const char *a, const char *b)
{
    gsize width = strlen(b);
    g_autofree guint *row = g_new(guint, width + 1);

    for (gsize j = 0; j <= width; j++)
        row[j] = (guint)j;
    for (gsize i = 0; a[i]; i++) {
        guint diagonal = row[0];
        row[0] = (guint)i + 1;
        for (gsize j = 0; j < width; j++) {
            guint replace = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = MIN(replace, MIN(row[j], row[j + 1]) + 1);
        }
    }
    return row[width];
}

static gboolean group_known(const TkConfig *config, const char *group)
{
    for (guint i = 0; i < config->n_fields; i++)
        if (g_str_equal(config->fields[i].group, group))
            return TRUE;
    return FALSE;
}

// Words longer than this are nobody's typing error, and comparing them costs time.
#define WORD_MAX 64

static gboolean refuse_group(const TkConfig *config, const char *group, const Place *place,
                             GError **error)
{
    const char *best = NULL;
    guint best_distance = 4;

    if (strlen(group) > WORD_MAX)
        return refuse(error, place, "unknown group");
    for (guint i = 0; i < config->n_fields; i++) {
        guint d = distance(group, config->fields[i].group);
        if (d < best_distance) {
            best_distance = d;
            best = config->fields[i].group;
        }
    }
    if (best)
        return refuse(error, place, "unknown group [%s]; did you mean [%s]?", group, best);
    return refuse(error, place, "unknown group [%s]", group);
}

static gboolean refuse_key(const TkConfig *config, const char *group, const char *key,
                           const Place *place, GError **error)
{
    const TkConfigField *best = NULL;
    guint best_distance = G_MAXUINT;

    if (!group_known(config, group))
        return refuse_group(config, group, place, error);
    if (strlen(key) > WORD_MAX)
        return refuse(error, place, "unknown key in [%s]", group);
    for (guint i = 0; i < config->n_fields; i++) {
        const TkConfigField *field = &config->fields[i];
        // A key of another group is offered only when it is spelt exactly so.
        guint d = distance(key, field->key);
        if (!g_str_equal(field->group, group))
            d = d == 0 ? 1 : G_MAXUINT;
        if (d < best_distance) {
            best_distance = d;
            best = field;
        }
    }
    g_assert(best); // the group is known, so it has a key
    if (g_str_equal(best->group, group))
        return refuse(error, place, "unknown key \"%s\" in [%s]; the nearest is \"%s\"", key, group,
                      best->key);
    return refuse(error, place, "unknown key \"%s\" in [%s]; it belongs in [%s]", key, group,
                  best->group);
}

static gboolean find(const TkConfig *config, const char *group, const char *key, guint *ret_index)
{
    for (guint i = 0; i < config->n_fields; i++) {
        if (g_str_equal(config->fields[i].group, group) &&
            g_str_equal(config->fields[i].key, key)) {
            *ret_index = i;
            return TRUE;
        }
    }
    return FALSE;
}

// GLib's escapes: \s \n \t \r \\. In place; FALSE for any other.
static gboolean unescape(char *value)
{
    char *to = value;

    for (const char *from = value; *from; from++) {
        static const char letters[] = "sntr\\", meant[] = " \n\t\r\\";
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        const char *which = from[1] ? strchr(letters, from[1]) : NULL;
        if (!which)
            return FALSE;
        *to++ = meant[which - letters];
        from++;
    }
    *to = '\0';
    return TRUE;
}

// What is read goes here first, so that a file with an error changes nothing.
typedef struct {
    const TkConfig *config;
    char **values; // NULL where the file says nothing
    guint *lines;  // where each was set
    char *group;   // the one that lines belong to, or NULL
} Reader;

static gboolean read_pair(Reader *reader, char *line, const Place *place, GError **error)
{
    char *equals = strchr(line, '=');
    guint i;

    if (!equals)
        return refuse(error, place, "neither [group], key=value nor # comment");
    if (!reader->group)
        return refuse(error, place, "a key before the first [group]");
    *equals = '\0';
    const char *key = g_strstrip(line);
    char *value = g_strstrip(equals + 1);
    if (!find(reader->config, reader->group, key, &i))
        return refuse_key(reader->config, reader->group, key, place, error);
    if (reader->values[i])
        return refuse(error, place, "%s.%s stands here again; it was set in line %u", reader->group,
                      key, reader->lines[i]);
    if (!unescape(value))
        return refuse(error, place, "%s.%s: after \\ only s, n, t, r or \\ may stand",
                      reader->group, key);
    if (!check_value(&reader->config->fields[i], value, place, error))
        return FALSE;
    reader->values[i] = g_strdup(value);
    reader->lines[i] = place->line;
    return TRUE;
}

static gboolean read_line(Reader *reader, char *line, const Place *place, GError **error)
{
    g_strstrip(line);
    if (*line == '\0' || *line == '#')
        return TRUE;
    if (*line != '[')
        return read_pair(reader, line, place, error);

    gsize length = strlen(line);
    if (line[length - 1] != ']')
        return refuse(error, place, "a group's line ends with ]");
    line[length - 1] = '\0';
    if (!group_known(reader->config, line + 1))
        return refuse_group(reader->config, line + 1, place, error);
    g_free(reader->group);
    reader->group = g_strdup(line + 1);
    return TRUE;
}

static gboolean read_lines(Reader *reader, const char *name, char *text, GError **error)
{
    Place place = {name, 0};

    for (char *line = text; line; place.line++) {
        char *end = strchr(line, '\n');
        if (end)
            *end = '\0';
        Place here = {name, place.line + 1};
        if (!read_line(reader, line, &here, error))
            return FALSE;
        line = end ? end + 1 : NULL;
    }
    return TRUE;
}

gboolean tk_config_load_data(TkConfig *config, const char *name, const char *data, gsize length,
                             GError **error)
{
    Place whole = {name, 0};

    if (length > FILE_MAX)
        return refuse(error, &whole, "longer than %d KiB", FILE_MAX / 1024);
    if (!g_utf8_validate_len(data, length, NULL))
        return refuse(error, &whole, "not UTF-8 text");
    if (length >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        length -= 3;
    }

    g_autofree char *text = g_strndup(data, length);
    Reader reader = {
        .config = config,
        .values = g_new0(char *, config->n_fields + 1),
        .lines = g_new0(guint, config->n_fields + 1),
    };
    gboolean good = read_lines(&reader, name, text, error);
    for (guint i = 0; i < config->n_fields; i++) {
        if (good && reader.values[i]) {
            g_free(config->values[i]);
            config->values[i] = g_steal_pointer(&reader.values[i]);
        }
        g_free(reader.values[i]);
    }
    g_free(reader.values);
    g_free(reader.lines);
    g_free(reader.group);
    return good;
}

gboolean tk_config_load(TkConfig *config, const char *path, GError **error)
{
    gsize length;
    g_autofree char *data = tk_file_read(path, FILE_MAX, &length, error);

    return data && tk_config_load_data(config, path, data, length, error);
}

gboolean tk_config_set(TkConfig *config, const char *assignment, GError **error)
{
    Place place = {"--set", 0};
    g_autofree char *text = g_strdup(assignment);
    char *equals = strchr(text, '=');
    guint i;

    if (!g_utf8_validate(text, -1, NULL))
        return refuse(error, &place, "not UTF-8 text");
    if (equals)
        *equals = '\0';
    char *dot = strchr(text, '.');
    if (!equals || !dot)
        return refuse(error, &place, "write group.key=value");
    *dot = '\0';
    if (!find(config, text, dot + 1, &i))
        return refuse_key(config, text, dot + 1, &place, error);
    if (!check_value(&config->fields[i], equals + 1, &place, error))
        return FALSE;
    g_free(config->values[i]);
    config->values[i] = g_strdup(equals + 1);
    return TRUE;
}

static const char *value_of(const TkConfig *config, const char *group, const char *key,
                            gboolean type_fits(TkConfigType))
{
    guint i;

    if (!find(config, group, key, &i) || !type_fits(config->fields[i].type))
        g_error("%s.%s is not in the schema, or of another type", group, key);
    return config->values[i];
}

static gboolean is_text(TkConfigType type)
{
    return type == TK_CONFIG_STRING || type == TK_CONFIG_CHOICE;
}

static gboolean is_int(TkConfigType type)
{
    return type == TK_CONFIG_INT;
}

static gboolean is_bool(TkConfigType type)
{
    return type == TK_CONFIG_BOOL;
}

const char *tk_config_string(const TkConfig *config, const char *group, const char *key)
{
    return value_of(config, group, key, is_text);
}

gint64 tk_config_int(const TkConfig *config, const char *group, const char *key)
{
    return g_ascii_strtoll(value_of(config, group, key, is_int), NULL, 10);
}

gboolean tk_config_bool(const TkConfig *config, const char *group, const char *key)
{
    return g_str_equal(value_of(config, group, key, is_bool), "true");
}

static void append_help(GString *out, const char *help)
{
    g_auto(GStrv) words = g_strsplit(help, " ", -1);
    gsize column = HELP_COLUMNS;

    for (char **word = words; *word; word++) {
        gsize length = (gsize)g_utf8_strlen(*word, -1);
        gboolean wrap = column + 1 + length > HELP_COLUMNS;
        if (wrap)
            g_string_append(out, word == words ? "#" : "\n#");
        column = (wrap ? 1 : column) + 1 + length;
        g_string_append_printf(out, " %s", *word);
    }
    g_string_append_c(out, '\n');
}

static void append_field(GString *out, const TkConfigField *field)
{
    append_help(out, field->help);
    if (field->type == TK_CONFIG_INT)
        g_string_append_printf(out, "# (%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ")\n",
                               field->min, field->max);
    else if (field->type == TK_CONFIG_CHOICE)
        g_string_append_printf(out, "# (%s)\n", field->choices);
    g_string_append_printf(out, "#%s=%s\n", field->key, field->fallback);
}

char *tk_config_example(const TkConfigField *fields, const char *title)
{
    GString *out = g_string_new(NULL);
    const char *group = NULL;

    append_help(out, title);
    g_string_append(out, "# Every key stands here with its default; remove the # to change one.\n");
    for (const TkConfigField *field = fields; field->key; field++) {
        if (!group || !g_str_equal(group, field->group))
            g_string_append_printf(out, "\n[%s]\n", field->group);
        else
            g_string_append_c(out, '\n');
        group = field->group;
        append_field(out, field);
    }
    return g_string_free(out, FALSE);
}
