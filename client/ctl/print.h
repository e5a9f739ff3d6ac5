// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

#include "common/base/json.h"

// Lines in columns, for a terminal: a Chinese character takes two places, and what a server sends
// cannot move the cursor.
typedef struct _CtlTable CtlTable;

// `headings` is ended by NULL and borrowed for the table's life.
CtlTable *ctl_table_new(const char *const *headings);
void ctl_table_free(CtlTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CtlTable, ctl_table_free)

// As many texts as there are headings; NULL prints as "-". Copied.
void ctl_table_add(CtlTable *table, const char *const *cells);

// The whole table. Newly allocated.
char *ctl_table_text(const CtlTable *table);

// The table of an array's elements, each put in by `add`. Newly allocated; NULL: there are none.
char *ctl_table_of(const json_t *array, const char *const *headings,
                   void (*add)(CtlTable *table, const json_t *element));

// `text` without control characters. Newly allocated; NULL gives "-".
char *ctl_clean(const char *text);

// 2702.4 as "45:02"; hours in front when there are any. Newly allocated.
char *ctl_duration(double seconds);

// "name: value" lines of an object, objects inside indented, arrays one element a paragraph. Newly
// allocated.
char *ctl_describe(const json_t *object);
