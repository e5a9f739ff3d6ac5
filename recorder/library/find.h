// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/columns.h"
#include "recorder/library/index.h"

#include <sqlite3.h>

// Above so many the words' weights are not reckoned for each: those with all words in their title
// come first, then the rest, both the newest first.
#define SHELF_FIND_WEIGHED_MAX 2000

// Of a search that finds more, only the newest are shown and counted.
#define SHELF_FIND_MAX 50000

// shelf_index_find over a database and its columns.
gboolean shelf_find(sqlite3 *db, const ShelfColumns *columns, const ShelfFilter *filter,
                    ShelfPage *ret, GError **error) G_GNUC_WARN_UNUSED_RESULT;
