// SPDX-License-Identifier: MIT
#include "client/ctl/print.h"

#include <string.h>

#define GAP 2

struct _CtlTable {
    const char *const *headings;
    guint columns;
    GPtrArray *cells; // row by row
};

CtlTable *ctl_table_new(const char *const *headings)
{
    CtlTable *table = g_new0(CtlTable, 1);

    table->headings = headings;
    table->columns = g_strv_length((char **)headings);
    table->cells = g_ptr_array_new_with_free_func(g_free);
    return table;
}

void ctl_table_free(CtlTable *table)
{
    if (!table)
        return;
    g_ptr_array_unref(table->cells);
    g_free(table);
}

char *ctl_clean(const char *text)
{
    GString *out = g_string_new(NULL);

    if (!text || !*text)
        g_string_append_c(out, '-');
    g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
    for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        g_string_append_unichar(out, g_unichar_iscntrl(c) || !g_unichar_isdefined(c) ? '?' : c);
    }
    return g_string_free(out, FALSE);
}

static guint width_of(const char *text)
{
    guint width = 0;

    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (!g_unichar_iszerowidth(c))
            width += g_unichar_iswide(c) ? 2 : 1;
    }
    return width;
}

void ctl_table_add(CtlTable *table, const char *const *cells)
{
    for (guint i = 0; i < table->columns; i++)
        g_ptr_array_add(table->cells, ctl_clean(cells[i]));
}

static const char *cell(const CtlTable *table, guint row, guint column)
{
    return row == 0 ? table->headings[column]
                    : table->cells->pdata[(row - 1) * table->columns + column];
}

char *ctl_table_text(const CtlTable *table)
{
    GString *out = g_string_new(NULL);
    guint rows = 1 + table->cells->len / table->columns;
    g_autofree guint *widths = g_new0(guint, table->columns);

    for (guint row = 0; row < rows; row++)
        for (guint column = 0; column < table->columns; column++)
            widths[column] = MAX(widths[column], width_of(cell(table, row, column)));
    for (guint row = 0; row < rows; row++) {
        for (guint column = 0; column < table->columns; column++) {
            const char *text = cell(table, row, column);
            g_string_append(out, text);
            if (column + 1 < table->columns)
                for (guint n = width_of(text); n < widths[column] + GAP; n++)
                    g_string_append_c(out, ' ');
        }
        g_string_append_c(out, '\n');
    }
    return g_string_free(out, FALSE);
}

char *ctl_table_of(const json_t *array, const char *const *headings,
                   void (*add)(CtlTable *table, const json_t *element))
{
    g_autoptr(CtlTable) table = ctl_table_new(headings);
    for (gsize i = 0; i < json_array_size(array); i++)
        add(table, json_array_get(array, i));
    return json_array_size(array) ? ctl_table_text(table) : NULL;
}

char *ctl_duration(double seconds)
{
    // Also false for NaN; what is longer than this is nobody's lesson.
    if (!(seconds >= 0 && seconds < 1e9))
        return g_strdup("-");
    guint whole = (guint)seconds;
    if (whole >= 3600)
        return g_strdup_printf("%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    return g_strdup_printf("%u:%02u", whole / 60, whole % 60);
}

static void describe(GString *out, const json_t *object, int depth)
{
    const char *key;
    json_t *value;
    gsize i;
    json_t *element;

    json_object_foreach((json_t *)object, key, value)
    {
        g_autofree char *name = ctl_clean(key);
        if (json_is_object(value)) {
            g_string_append_printf(out, "%*s%s:\n", depth, "", name);
            describe(out, value, depth + 2);
        } else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
            json_array_foreach(value, i, element)
            {
                g_string_append_printf(out, "%*s%s %" G_GSIZE_FORMAT ":\n", depth, "", name, i + 1);
                describe(out, element, depth + 2);
            }
        } else if (!json_is_null(value)) {
            g_autofree char *dumped = json_is_string(value) ? NULL : tk_json_dump(value);
            g_autofree char *text = ctl_clean(dumped ? dumped : json_string_value(value));
            g_string_append_printf(out, "%*s%s: %s\n", depth, "", name, text);
        }
    }
}

char *ctl_describe(const json_t *object)
{
    GString *out = g_string_new(NULL);

    describe(out, object, 0);
    return g_string_free(out, FALSE);
}
