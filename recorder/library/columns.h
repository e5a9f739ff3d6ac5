// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a list filters, orders and counts recordings by, kept in memory: 40 bytes for each, which a
// database would fetch a page for. One thread at a time.
typedef struct _ShelfColumns ShelfColumns;

// The facets in the order of shelf_facet_names, then the lesson's name.
#define SHELF_COLUMNS 5
#define SHELF_COLUMN_NAME 4

ShelfColumns *shelf_columns_new(void);
void shelf_columns_free(ShelfColumns *columns);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfColumns, shelf_columns_free)

// `no`: the recording's number in the database, from 1; what is beyond any library is passed over.
// Values: NULL = none. Nothing is taken over.
void shelf_columns_put(ShelfColumns *columns, gint64 no, gint64 started_ns,
                       const char *const values[SHELF_COLUMNS]);
void shelf_columns_remove(ShelfColumns *columns, gint64 no);
void shelf_columns_clear(ShelfColumns *columns);

// NULL and "" = any. Borrowed.
typedef struct {
    const char *values[SHELF_COLUMNS];
    gint64 from_ns, to_ns; // started in [from, to); 0 = open
    const char *only_name; // when set: of this name,
    gint64 only_no;        // or of this number
} ShelfColumnsFilter;

typedef struct {
    gint64 started_ns;
    guint32 no;
    guint32 rank; // 0 from here; what is ordered first has the larger one
} ShelfMatch;

// Appends those of `nos` (of gint64; NULL: of all) that the filter lets through, to be ordered.
void shelf_columns_select(const ShelfColumns *columns, const ShelfColumnsFilter *filter,
                          const GArray *nos, GArray *matches);

// By rank, then the newest first.
void shelf_matches_sort(GArray *matches);

// How often each value of a column is among the matches: calls for each that is.
void shelf_columns_count(const ShelfColumns *columns, guint column, const GArray *matches,
                         void (*func)(void *user, const char *value, guint count), void *user);
