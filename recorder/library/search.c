// SPDX-License-Identifier: MIT
#include "recorder/library/search.h"

#include "common/base/error.h"

#include <string.h>

#define WORD_BYTES_MAX 64

// One character of the text after folding.
typedef struct {
    gunichar c;
    int start, end;
    enum { KIND_OTHER, KIND_WORD, KIND_RUN } kind;
} Glyph;

static gboolean is_run(gunichar c)
{
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
           (c >= 0x20000 && c <= 0x3FFFF) || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x3040 && c <= 0x30FF) || (c >= 0xAC00 && c <= 0xD7AF) ||
           (c >= 0x2E80 && c <= 0x2FDF) || c == 0x3005 || c == 0x3007;
}

static Glyph glyph_at(const char *text, gsize length, gsize at)
{
    gunichar c = g_utf8_get_char_validated(text + at, (gssize)(length - at));
    Glyph glyph = {.start = (int)at};

    if (c == (gunichar)-1 || c == (gunichar)-2 || c == 0) {
        glyph.end = (int)at + 1;
        return glyph;
    }
    glyph.end = (int)at + g_utf8_skip[(guchar)text[at]];
    if (c >= 0xFF01 && c <= 0xFF5E)
        c -= 0xFEE0;
    glyph.c = g_unichar_tolower(c);
    if (is_run(c))
        glyph.kind = KIND_RUN;
    else if (g_unichar_isalnum(c) || g_unichar_ismark(c))
        glyph.kind = KIND_WORD;
    return glyph;
}

static int pair_give(const Glyph *a, const Glyph *b, ShelfTermFunc func, void *user)
{
    char term[12];
    int n = g_unichar_to_utf8(a->c, term);
    if (b)
        n += g_unichar_to_utf8(b->c, term + n);
    return func(user, term, n, a->start, b ? b->end : a->end);
}

int shelf_terms(const char *text, gsize length, ShelfTermsMode mode, ShelfTermFunc func, void *user)
{
    gsize at = 0;
    length = MIN(length, G_MAXINT / 2);
    while (at < length) {
        Glyph glyph = glyph_at(text, length, at);
        int verdict = 0;

        at = (gsize)glyph.end;
        if (glyph.kind == KIND_WORD) {
            char word[WORD_BYTES_MAX + 8];
            int n = 0, start = glyph.start, end = glyph.end;
            for (;;) {
                if (n < WORD_BYTES_MAX)
                    n += g_unichar_to_utf8(glyph.c, word + n);
                end = glyph.end;
                at = (gsize)end;
                if (at >= length)
                    break;
                glyph = glyph_at(text, length, at);
                if (glyph.kind != KIND_WORD)
                    break;
            }
            verdict = func(user, word, n, start, end);
        } else if (glyph.kind == KIND_RUN) {
            Glyph last = glyph;
            gboolean alone = TRUE;
            while (at < length && verdict == 0) {
                Glyph next = glyph_at(text, length, at);
                if (next.kind != KIND_RUN)
                    break;
                verdict = pair_give(&last, &next, func, user);
                last = next;
                at = (gsize)next.end;
                alone = FALSE;
            }
            if (verdict == 0 && (alone || mode == SHELF_TERMS_INDEX))
                verdict = pair_give(&last, NULL, func, user);
        }
        if (verdict != 0)
            return verdict;
    }
    return 0;
}

typedef struct {
    void *context;
    int (*token)(void *, int, const char *, int, int, int);
} TokenOut;

static int token_out(void *user, const char *term, int term_bytes, int start, int end)
{
    TokenOut *out = user;
    return out->token(out->context, 0, term, term_bytes, start, end);
}

static int tokenizer_create(void *context, const char **args, int count, Fts5Tokenizer **ret)
{
    static char instance; // the tokenizer has no state
    *ret = (Fts5Tokenizer *)&instance;
    return SQLITE_OK;
}

static void tokenizer_delete(Fts5Tokenizer *tokenizer) {}

static int tokenizer_run(Fts5Tokenizer *tokenizer, void *context, int flags, const char *text,
                         int length, int (*token)(void *, int, const char *, int, int, int))
{
    TokenOut out = {context, token};
    ShelfTermsMode mode = flags & FTS5_TOKENIZE_QUERY ? SHELF_TERMS_QUERY : SHELF_TERMS_INDEX;
    return length > 0 ? shelf_terms(text, (gsize)length, mode, token_out, &out) : SQLITE_OK;
}

gboolean shelf_search_register(sqlite3 *db, GError **error)
{
    static fts5_tokenizer tokenizer = {tokenizer_create, tokenizer_delete, tokenizer_run};
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    if (!api || api->xCreateTokenizer(api, "tongke", NULL, &tokenizer, NULL) != SQLITE_OK) {
        g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                    "this SQLite has no FTS5: the library cannot be searched");
        return FALSE;
    }
    return TRUE;
}

// The words of a query: maximal runs of one kind, folded.
typedef struct {
    char *text;
    gboolean prefix; // a lone character of a run, or a word that may be going on
} Word;

static void word_clear(void *data)
{
    g_free(((Word *)data)->text);
}

static GArray *words_of(const char *query)
{
    GArray *words = g_array_new(FALSE, TRUE, sizeof(Word));
    gsize length = strnlen(query, SHELF_QUERY_BYTES_MAX), at = 0;

    g_array_set_clear_func(words, word_clear);
    while (at < length && words->len < SHELF_QUERY_WORDS_MAX) {
        Glyph first = glyph_at(query, length, at);
        at = (gsize)first.end;
        if (first.kind == KIND_OTHER)
            continue;
        g_autoptr(GString) text = g_string_new(NULL);
        guint count = 1;
        g_string_append_unichar(text, first.c);
        while (at < length) {
            Glyph next = glyph_at(query, length, at);
            if (next.kind != first.kind)
                break;
            g_string_append_unichar(text, next.c);
            at = (gsize)next.end;
            count++;
        }
        Word word = {.text = g_string_free(g_steal_pointer(&text), FALSE),
                     .prefix = first.kind == KIND_WORD || count == 1};
        g_array_append_val(words, word);
    }
    return words;
}

char *shelf_search_expression(const char *query)
{
    g_autoptr(GArray) words = words_of(query);
    g_autoptr(GString) out = g_string_new(NULL);

    // Words hold letters, marks and digits only, so that the quotes cannot be left.
    for (guint i = 0; i < words->len; i++) {
        const Word *word = &g_array_index(words, Word, i);
        g_string_append_printf(out, "%s\"%s\"%s", i ? " AND " : "", word->text,
                               word->prefix ? " *" : "");
    }
    return out->len ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}

// Where `word` stands in the glyphs from `from` on: exclusive end, or 0.
static guint word_match(const GArray *glyphs, guint from, const char *word)
{
    const Glyph *first = &g_array_index(glyphs, Glyph, from);
    if (first->kind == KIND_WORD && from > 0 &&
        g_array_index(glyphs, Glyph, from - 1).kind == KIND_WORD)
        return 0;
    guint i = from;
    for (const char *at = word; *at; at = g_utf8_next_char(at), i++)
        if (i >= glyphs->len || g_array_index(glyphs, Glyph, i).kind == KIND_OTHER ||
            g_array_index(glyphs, Glyph, i).c != g_utf8_get_char(at))
            return 0;
    return i;
}

static void escape_append(GString *out, const char *text, gsize length)
{
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)length);
    g_autofree char *escaped = g_markup_escape_text(valid, -1);
    g_string_append(out, escaped);
}

char *shelf_search_highlight(const char *text, const char *query)
{
    g_autoptr(GArray) words = words_of(query);
    g_autoptr(GArray) glyphs = g_array_new(FALSE, FALSE, sizeof(Glyph));
    g_autoptr(GString) out = g_string_new(NULL);
    gsize length = strlen(text);
    gboolean found = FALSE;

    for (gsize at = 0; at < length;) {
        Glyph glyph = glyph_at(text, length, at);
        g_array_append_val(glyphs, glyph);
        at = (gsize)glyph.end;
    }
    for (guint i = 0; i < glyphs->len;) {
        guint end = 0;
        for (guint w = 0; w < words->len; w++)
            end = MAX(end, word_match(glyphs, i, g_array_index(words, Word, w).text));
        guint next = MAX(end, i + 1);
        gsize start = (gsize)g_array_index(glyphs, Glyph, i).start;
        gsize stop = (gsize)g_array_index(glyphs, Glyph, next - 1).end;
        if (end)
            g_string_append(out, "<mark>");
        escape_append(out, text + start, stop - start);
        if (end)
            g_string_append(out, "</mark>");
        found |= end != 0;
        i = next;
    }
    return found ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}
