// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <sqlite3.h>

// Chinese and other text cut into terms. A run of Han, kana or Hangul characters gives all its
// pairs of neighbours and, when indexing, its last character alone; so a pair is a term, a longer
// word is a phrase of pairs, and a lone character is a prefix. Other letters and digits give
// lower-cased words. Full-width forms are folded first.

typedef enum {
    SHELF_TERMS_INDEX, // text to be found
    SHELF_TERMS_QUERY, // words to find it by: a run's last character is left out unless it is alone
} ShelfTermsMode;

// `term` need not end in NUL; start and end are byte offsets in the text. Not 0: stop.
typedef int (*ShelfTermFunc)(void *user, const char *term, int term_bytes, int start, int end);

// Bytes that are not UTF-8 separate. Gives what the function gave.
int shelf_terms(const char *text, gsize length, ShelfTermsMode mode, ShelfTermFunc func,
                void *user);

// Makes the FTS5 tokenizer "tongke" known to a connection.
gboolean shelf_search_register(sqlite3 *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// An FTS5 expression that finds what has all words of the user's text; nothing of the text reaches
// FTS5's syntax. Newly allocated; NULL when the text has no words. At most SHELF_QUERY_WORDS_MAX
// words are used.
#define SHELF_QUERY_BYTES_MAX 256
#define SHELF_QUERY_WORDS_MAX 16
char *shelf_search_expression(const char *query);

// `text` HTML-escaped, with <mark> around what the query's words found in it. Newly allocated;
// NULL when nothing of them is there.
char *shelf_search_highlight(const char *text, const char *query);
