// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"

// The catalogue: a SQLite file that can be deleted at any time and is made again from the folders.
// It is for finding; what a recording is, its folder tells: a power cut may leave an index that is
// older. So each start reads again what has changed since it was put (`stamp`), and nothing is
// changed or deleted by what the index says alone. One thread at a time.
typedef struct _ShelfIndex ShelfIndex;

// Opens <data>/library.sqlite or makes it. *ret_fresh: it is empty (new, or of another version or
// damaged and therefore put aside as library.sqlite.damaged) and is to be filled. When the disk has
// no room for it, or refuses, it is left as it is, and NULL returned.
ShelfIndex *shelf_index_open(const char *data, gboolean *ret_fresh, GError **error);
// An empty one that needs no disk, for as long as it lives.
ShelfIndex *shelf_index_open_memory(GError **error);
// To look into it, also beside a recorder that works: nothing is made, put aside or changed.
ShelfIndex *shelf_index_look(const char *data, GError **error);
void shelf_index_free(ShelfIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfIndex, shelf_index_free)

// Forgets everything.
gboolean shelf_index_clear(ShelfIndex *index, GError **error) G_GNUC_WARN_UNUSED_RESULT;
// Many puts in one transaction are many times faster.
gboolean shelf_index_begin(ShelfIndex *index, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean shelf_index_commit(ShelfIndex *index, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Adds or replaces. `stamp`: of the lesson.json that the lesson was read from (rec_lesson_stamp);
// NULL: it is not known to be the same, and read at the next start.
gboolean shelf_index_put(ShelfIndex *index, const RecLesson *lesson, const char *stamp,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean shelf_index_remove(ShelfIndex *index, const char *id,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

// NULL with TK_ERROR_NOT_FOUND when there is none. Newly allocated.
RecLesson *shelf_index_get(ShelfIndex *index, const char *id, GError **error);
// The same of the lesson of that name that was started last.
RecLesson *shelf_index_newest(ShelfIndex *index, const char *name, GError **error);

// All ids, each with its stamp, or "" when it has none or was not closed. New.
GHashTable *shelf_index_ids(ShelfIndex *index, GError **error);

// Up to `limit` closed recordings that were started before `before_ns`, behind number *at (0: from
// the first; moves on). New array of RecLesson; empty at the end. What cannot be read is left out.
GPtrArray *shelf_index_older(ShelfIndex *index, gint64 before_ns, guint limit, gint64 *at,
                             GError **error);

// What is asked for. Strings are borrowed; NULL or "" = any.
typedef struct {
    const char *query;
    const char *subject, *grade, *teacher, *school;
    const char *name;      // of the lesson: its room
    const char *lesson;    // a token's lesson: name or id that may be seen; NULL = all
    gint64 from_ns, to_ns; // started in [from, to); 0 = open
    guint limit, offset;
} ShelfFilter;

typedef struct {
    char *value;
    guint count;
} ShelfFacet;

#define SHELF_FACETS 4
extern const char *const shelf_facet_names[SHELF_FACETS]; // subject grade teacher school
#define SHELF_FACET_VALUES_MAX 100

typedef struct {
    guint total;
    GPtrArray *lessons;           // RecLesson
    GArray *facets[SHELF_FACETS]; // ShelfFacet, most frequent first
} ShelfPage;

void shelf_page_clear(ShelfPage *page);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ShelfPage, shelf_page_clear)

gboolean shelf_index_find(ShelfIndex *index, const ShelfFilter *filter, ShelfPage *ret,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
