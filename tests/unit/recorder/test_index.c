// SPDX-License-Identifier: MIT
// The catalogue: what is found by which words, and that it can be made again.
#include "recorder/library/find.h"
#include "recorder/library/index.h"
#include "recorder/library/search.h"
#include "recorder/scan.h"
#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/resource.h>

static int term_note(void *user, const char *term, int bytes, int start, int end)
{
    g_string_append_len(user, term, bytes);
    g_string_append_c(user, '|');
    return 0;
}

static char *terms(const char *text, ShelfTermsMode mode)
{
    GString *out = g_string_new(NULL);
    assert_int_equal(shelf_terms(text, strlen(text), mode, term_note, out), 0);
    return g_string_free(out, FALSE);
}

static void check_terms(void **state)
{
    const struct {
        const char *text;
        ShelfTermsMode mode;
        const char *terms;
    } cases[] = {
        {"函数的单调性", SHELF_TERMS_INDEX, "函数|数的|的单|单调|调性|性|"},
        {"函数的单调性", SHELF_TERMS_QUERY, "函数|数的|的单|单调|调性|"},
        {"函", SHELF_TERMS_INDEX, "函|"},
        {"函", SHELF_TERMS_QUERY, "函|"},
        {"H2O与CO2", SHELF_TERMS_INDEX, "h2o|与|co2|"},
        {"Ｈ２Ｏ　化学！", SHELF_TERMS_INDEX, "h2o|化学|学|"},
        {"Émile été", SHELF_TERMS_INDEX, "émile|été|"},
        {"", SHELF_TERMS_INDEX, ""},
        {"（）、。 -*\"", SHELF_TERMS_INDEX, ""},
        {"a\xff\xfe单\xe5", SHELF_TERMS_INDEX, "a|单|"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = terms(cases[i].text, cases[i].mode);
        assert_string_equal(found, cases[i].terms);
    }
}

static void check_highlight(void **state)
{
    const struct {
        const char *text, *query, *marked;
    } cases[] = {
        {"函数的单调性", "单调", "函数的<mark>单调</mark>性"},
        {"函数的单调性", "函", "<mark>函</mark>数的单调性"},
        {"a<b & 函数", "函数 B", "a&lt;<mark>b</mark> &amp; <mark>函数</mark>"},
        {"The Monotone", "mono", "The <mark>Mono</mark>tone"},
        {"<script>", "script", "&lt;<mark>script</mark>&gt;"},
        {"demono", "mono", NULL},
        {"函数", "极限", NULL},
        {"函数", "\"", NULL},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *marked = shelf_search_highlight(cases[i].text, cases[i].query);
        if (cases[i].marked)
            assert_string_equal(marked, cases[i].marked);
        else
            assert_null(marked);
    }
}

static RecLesson *lesson_new(guint number, const char *title, const char *grade,
                             const char *subject, const char *teacher)
{
    gint64 started_ns = LESSON_WALL_NS + number * 86400 * TK_NS_PER_S;
    g_autofree char *id = tk_ulid_new(started_ns);
    RecLesson *lesson = rec_lesson_new(id, "room");
    const char *const fields[][2] = {
        {"title", title}, {"grade", grade}, {"subject", subject}, {"teacher", teacher}};
    lesson->state = REC_STATE_CLOSED;
    lesson->started_ns = started_ns;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        assert_true(tk_lesson_info_set(lesson->info, fields[i][0], fields[i][1], NULL));
    return lesson;
}

static const char *const corpus[][4] = {
    {"函数的单调性", "高一", "数学", "王芳"}, {"函数的奇偶性", "高一", "数学", "李明"},
    {"单摆的周期", "高二", "物理", "王芳"},   {"The Great Wall", "七年级", "英语", "Zhang Wei"},
    {"静夜思", "二年级", "语文", "李白"},
};

static ShelfIndex *corpus_index(const char *data, gboolean folders)
{
    gboolean fresh;
    ShelfIndex *index = shelf_index_open(data, &fresh, NULL);
    assert_non_null(index);
    for (guint i = 0; i < G_N_ELEMENTS(corpus); i++) {
        g_autoptr(RecLesson) lesson =
            lesson_new(i, corpus[i][0], corpus[i][1], corpus[i][2], corpus[i][3]);
        assert_true(shelf_index_put(index, lesson, NULL, NULL));
        if (folders) {
            g_autofree char *folder = rec_folder_path(data, lesson->id);
            assert_true(rec_folder_make(folder, NULL));
            assert_true(rec_lesson_save(lesson, folder, NULL));
        }
    }
    return index;
}

// The titles that a filter finds, in order.
static char *titles(ShelfIndex *index, const ShelfFilter *filter)
{
    g_auto(ShelfPage) page = {0};
    g_autoptr(GError) error = NULL;
    GString *out = g_string_new(NULL);
    if (!shelf_index_find(index, filter, &page, &error))
        fail_msg("%s", error->message);
    for (guint i = 0; i < page.lessons->len; i++)
        g_string_append_printf(out, "%s|", ((RecLesson *)page.lessons->pdata[i])->info->title);
    return g_string_free(out, FALSE);
}

static void check_search(void **state)
{
    char *data = lesson_folder_new();
    g_autoptr(ShelfIndex) index = corpus_index(data, FALSE);
    const struct {
        const char *query, *titles;
    } cases[] = {
        {"单调", "函数的单调性|"},
        {"函", "函数的奇偶性|函数的单调性|"},
        {"单", "单摆的周期|函数的单调性|"},
        {"性", "函数的奇偶性|函数的单调性|"},
        {"单调性", "函数的单调性|"},
        {"高一 单调", "函数的单调性|"},
        {"高一数学", "函数的奇偶性|函数的单调性|"},
        {"高一数学函数的单调性", "函数的单调性|"},
        {"数学高一", "函数的奇偶性|函数的单调性|"},
        {"王芳 单", "单摆的周期|函数的单调性|"},
        {"李", "静夜思|函数的奇偶性|"},
        {"great", "The Great Wall|"},
        {"ＧＲＥＡＴ wa", "The Great Wall|"},
        {"eat", ""},
        {"数函", ""},
        {"调单", ""},
        // What means something to FTS5 or SQL means nothing here.
        {"\"", ""},
        {"单调\" OR \"great", ""},
        {"title:单调", ""},
        {"NEAR(单调 函数)", ""},
        {"单调*", "函数的单调性|"},
        {"NOT 单调", ""},
        {"'; DROP TABLE recording; --", ""},
        {"{title}: 单调", ""},
        {"^函数", "函数的奇偶性|函数的单调性|"},
        {"-单调", "函数的单调性|"},
        {"\xff\xfe", ""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        ShelfFilter filter = {.query = cases[i].query, .limit = 20};
        g_autofree char *found = titles(index, &filter);
        g_auto(GStrv) got = g_strsplit(found, "|", -1),
                      wanted = g_strsplit(cases[i].titles, "|", -1);
        // Relevance orders; here it counts what is found.
        gboolean same = g_strv_length(got) == g_strv_length(wanted);
        for (char **title = wanted; same && *title; title++)
            same = g_strv_contains((const char *const *)got, *title);
        if (!same)
            fail_msg("%s: found %s instead of %s", cases[i].query, found, cases[i].titles);
    }
    g_clear_pointer(&index, shelf_index_free);
    lesson_folder_free(data);
}

static void check_filters(void **state)
{
    char *data = lesson_folder_new();
    g_autoptr(ShelfIndex) index = corpus_index(data, FALSE);
    g_auto(ShelfPage) page = {0};
    ShelfFilter all = {.limit = 2, .offset = 1}, grade = {.grade = "高一", .limit = 20};
    ShelfFilter time = {.from_ns = LESSON_WALL_NS + 86400 * TK_NS_PER_S,
                        .to_ns = LESSON_WALL_NS + 3 * 86400 * TK_NS_PER_S,
                        .limit = 20};
    ShelfFilter foreign = {.lesson = "other", .limit = 20};

    g_autofree char *second = titles(index, &all), *high = titles(index, &grade);
    g_autofree char *between = titles(index, &time), *none = titles(index, &foreign);
    assert_string_equal(second, "The Great Wall|单摆的周期|");
    assert_string_equal(high, "函数的奇偶性|函数的单调性|");
    assert_string_equal(between, "单摆的周期|函数的奇偶性|");
    assert_string_equal(none, "");

    assert_true(shelf_index_find(index, &all, &page, NULL));
    assert_int_equal(page.total, 5);
    const ShelfFacet *subject = &g_array_index(page.facets[0], ShelfFacet, 0);
    assert_string_equal(subject->value, "数学");
    assert_int_equal(subject->count, 2);

    // Counted another way when words are asked for.
    g_auto(ShelfPage) found = {0};
    ShelfFilter words = {.query = "单", .limit = 1};
    assert_true(shelf_index_find(index, &words, &found, NULL));
    assert_int_equal(found.total, 2);
    assert_int_equal(found.lessons->len, 1);
    assert_int_equal(found.facets[0]->len, 2);
    const ShelfFacet *teacher = &g_array_index(found.facets[2], ShelfFacet, 0);
    assert_string_equal(teacher->value, "王芳");
    assert_int_equal(teacher->count, 2);
    g_clear_pointer(&index, shelf_index_free);
    lesson_folder_free(data);
}

static void check_replace_and_remove(void **state)
{
    char *data = lesson_folder_new();
    gboolean fresh;
    g_autoptr(ShelfIndex) index = shelf_index_open(data, &fresh, NULL);
    g_autoptr(RecLesson) lesson = lesson_new(0, "圆的方程", "高二", "数学", "王芳");
    g_autoptr(GError) error = NULL;
    ShelfFilter old = {.query = "圆", .limit = 5}, new = {.query = "椭圆", .limit = 5};

    assert_true(fresh);
    assert_true(shelf_index_put(index, lesson, NULL, NULL));
    assert_true(tk_lesson_info_set(lesson->info, "title", "椭形", NULL));
    assert_true(shelf_index_put(index, lesson, NULL, NULL));
    g_autofree char *by_old = titles(index, &old), *by_new = titles(index, &new);
    assert_string_equal(by_old, "");
    assert_string_equal(by_new, "");
    old.query = "椭";
    g_autofree char *found = titles(index, &old);
    assert_string_equal(found, "椭形|");
    assert_true(shelf_index_remove(index, lesson->id, NULL));
    g_autofree char *gone = titles(index, &old);
    assert_string_equal(gone, "");
    assert_null(shelf_index_get(index, lesson->id, &error));
    check_error(error, TK_ERROR_NOT_FOUND);
    g_clear_pointer(&index, shelf_index_free);
    lesson_folder_free(data);
}

#define MANY 6000 // more than are weighed

static const char *const few[][2] = {{"数学", "物理"}, {"高一", "高二"}};

// Every 7th has the word in its title, every one as its subject or not at all.
static RecLesson *many_lesson(guint i)
{
    g_autofree char *title = g_strdup_printf("%s %u", i % 7 == 0 ? "数学之美" : "绪论", i);
    g_autofree char *teacher = g_strdup_printf("老师%u", i % 50);
    RecLesson *lesson = lesson_new(i, title, few[1][i % 2], few[0][i % 5 == 4], teacher);
    g_free(lesson->name);
    lesson->name = g_strdup_printf("room-%u", i % 3);
    return lesson;
}

static void many_check(ShelfIndex *index, const ShelfFilter *filter, guint total, guint first,
                       guint last)
{
    g_auto(ShelfPage) page = {0};
    g_autoptr(GError) error = NULL;
    if (!shelf_index_find(index, filter, &page, &error))
        fail_msg("%s", error->message);
    assert_int_equal(page.total, total);
    assert_int_equal(page.lessons->len, MIN(filter->limit, total - MIN(total, filter->offset)));
    guint in_facets = 0;
    for (guint i = 0; i < page.facets[0]->len; i++)
        in_facets += g_array_index(page.facets[0], ShelfFacet, i).count;
    assert_int_equal(in_facets, total);
    if (page.lessons->len == 0)
        return;
    const RecLesson *a = page.lessons->pdata[0], *z = page.lessons->pdata[page.lessons->len - 1];
    assert_int_equal(a->started_ns, LESSON_WALL_NS + first * 86400 * TK_NS_PER_S);
    assert_int_equal(z->started_ns, LESSON_WALL_NS + last * 86400 * TK_NS_PER_S);
}

// How many of [0, MANY) hold; the largest and the smallest of them.
#define COUNT_WHERE(condition, total, first, last)                                                 \
    for (guint i = 0; i < MANY; i++)                                                               \
        if (condition) {                                                                           \
            if ((total)++ == 0)                                                                    \
                last = i;                                                                          \
            first = i;                                                                             \
        }

static void many_look(ShelfIndex *index, guint gone)
{
    const gint64 day_ns = 86400 * TK_NS_PER_S;
    guint total = 0, first = 0, last = 0;
    COUNT_WHERE((i + 1) % gone, total, first, last)
    many_check(index, &(ShelfFilter){.limit = MANY}, total, first, last);
    many_check(index, &(ShelfFilter){.limit = 1, .offset = total - 1}, total, last, last);
    many_check(index, &(ShelfFilter){.limit = 1, .offset = total}, total, 0, 0);
    total = 0;
    COUNT_WHERE((i + 1) % gone && i % 5 == 4 && i % 2 == 0 && i % 3 == 1 && i >= 100 && i < 900,
                total, first, last)
    many_check(index,
               &(ShelfFilter){.subject = "物理",
                              .grade = "高一",
                              .name = "room-1",
                              .from_ns = LESSON_WALL_NS + 100 * day_ns,
                              .to_ns = LESSON_WALL_NS + 900 * day_ns,
                              .limit = MANY},
               total, first, last);
    total = 0;
    COUNT_WHERE((i + 1) % gone && i % 3 == 2, total, first, last)
    many_check(index, &(ShelfFilter){.lesson = "room-2", .limit = MANY}, total, first, last);
    many_check(index, &(ShelfFilter){.lesson = "room-2", .name = "room-1", .limit = 1}, 0, 0, 0);
    many_check(index, &(ShelfFilter){.teacher = "nobody", .limit = 1}, 0, 0, 0);
    // Too many to be weighed: what has it in its title comes first.
    total = 0;
    COUNT_WHERE((i + 1) % gone && (i % 5 != 4 || i % 7 == 0), total, first, last)
    assert_true(total > SHELF_FIND_WEIGHED_MAX);
    guint titled = 0, newest = 0, oldest = 0;
    COUNT_WHERE((i + 1) % gone && i % 7 == 0, titled, newest, oldest)
    many_check(index, &(ShelfFilter){.query = "数学", .limit = titled}, total, newest, oldest);
    guint rest = 0, rest_newest = 0, rest_oldest = 0;
    COUNT_WHERE((i + 1) % gone && i % 5 != 4 && i % 7, rest, rest_newest, rest_oldest)
    many_check(index, &(ShelfFilter){.query = "数学", .limit = MANY, .offset = titled}, total,
               rest_newest, rest_oldest);
    // The same where a facet is chosen, too.
    titled = total = 0;
    COUNT_WHERE((i + 1) % gone && i % 2 && i % 7 == 0, titled, newest, oldest)
    COUNT_WHERE((i + 1) % gone && i % 2 && (i % 5 != 4 || i % 7 == 0), total, first, last)
    assert_true(total > SHELF_FIND_WEIGHED_MAX);
    many_check(index, &(ShelfFilter){.query = "数学", .grade = "高二", .limit = titled}, total,
               newest, oldest);
    // Few are weighed; here they are counted.
    total = 0;
    COUNT_WHERE((i + 1) % gone && i % 7 == 0 && i % 2, total, first, last)
    many_check(index, &(ShelfFilter){.query = "数学 之美", .grade = "高二", .limit = 0}, total,
               first, last);
}

// Against a count by hand: all, after some are gone, and when it is opened again.
static void check_many(void **state)
{
    char *data = lesson_folder_new();
    gboolean fresh;
    g_autoptr(ShelfIndex) index = shelf_index_open(data, &fresh, NULL);
    g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);

    assert_true(shelf_index_begin(index, NULL));
    // In no order: a library that is made anew does not know it either.
    for (guint i = 0; i < MANY; i++) {
        guint number = i * 1201 % MANY;
        g_autoptr(RecLesson) lesson = many_lesson(number);
        assert_true(shelf_index_put(index, lesson, NULL, NULL));
        if ((number + 1) % 11 == 0)
            g_ptr_array_add(gone, g_strdup(lesson->id));
    }
    assert_true(shelf_index_commit(index, NULL));
    many_look(index, MANY + 1);
    for (guint i = 0; i < gone->len; i++)
        assert_true(shelf_index_remove(index, gone->pdata[i], NULL));
    many_look(index, 11);
    shelf_index_free(index);
    index = shelf_index_open(data, &fresh, NULL);
    assert_false(fresh);
    many_look(index, 11);
    g_autoptr(RecLesson) newest = shelf_index_newest(index, "room-1", NULL);
    assert_int_equal(newest->started_ns,
                     LESSON_WALL_NS + (gint64)5998 * 86400 * TK_NS_PER_S); // 5998 % 3 == 1
    many_check(index, &(ShelfFilter){.lesson = newest->id, .limit = 5}, 1, 5998, 5998);
    assert_null(shelf_index_newest(index, "room-9", NULL));
    assert_true(shelf_index_clear(index, NULL));
    many_check(index, &(ShelfFilter){.limit = 5}, 0, 0, 0);
    g_clear_pointer(&index, shelf_index_free);
    lesson_folder_free(data);
}

static char *everything(ShelfIndex *index)
{
    g_auto(ShelfPage) page = {0};
    ShelfFilter filter = {.limit = 100};
    GString *out = g_string_new(NULL);
    assert_true(shelf_index_find(index, &filter, &page, NULL));
    for (guint i = 0; i < page.lessons->len; i++) {
        g_autofree char *text = rec_lesson_dump(page.lessons->pdata[i]);
        g_string_append_printf(out, "%s\n", text);
    }
    return g_string_free(out, FALSE);
}

// Deleted, or overwritten with rubbish: made again from the folders, the same as before.
static void check_rebuild(void **state)
{
    char *data = lesson_folder_new();
    g_autofree char *path = g_build_filename(data, "library.sqlite", NULL);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    ShelfIndex *index = corpus_index(data, TRUE);
    g_autofree char *before = everything(index);
    RecScanCounts counts;
    gboolean fresh;
    shelf_index_free(index);

    g_unlink(path);
    index = shelf_index_open(data, &fresh, NULL);
    assert_true(fresh);
    assert_true(rec_scan(data, index, TRUE, NULL, NULL, &counts, NULL));
    g_autofree char *again = everything(index);
    assert_string_equal(before, again);
    assert_int_equal(counts.put, G_N_ELEMENTS(corpus));
    shelf_index_free(index);

    g_autofree char *rubbish = g_strnfill(20000, 'x');
    assert_true(g_file_set_contents(path, rubbish, 20000, NULL));
    index = shelf_index_open(data, &fresh, NULL);
    assert_non_null(index);
    assert_true(fresh);
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
    assert_true(rec_scan(data, index, TRUE, NULL, NULL, &counts, NULL));
    g_autofree char *third = everything(index);
    assert_string_equal(before, third);

    // A folder that is gone leaves the index; a stranger's stays where it is.
    g_autoptr(RecLesson) lesson = lesson_new(9, "x", "y", "z", "w");
    assert_true(shelf_index_put(index, lesson, NULL, NULL));
    g_autofree char *foreign = g_build_filename(data, "lessons", "notes", NULL);
    assert_int_equal(g_mkdir(foreign, 0755), 0);
    assert_true(rec_scan(data, index, FALSE, NULL, NULL, &counts, NULL));
    assert_int_equal(counts.removed, 1);
    assert_int_equal(counts.put, 0);
    assert_true(g_file_test(foreign, G_FILE_TEST_IS_DIR));
    g_autofree char *last = everything(index);
    assert_string_equal(before, last);
    shelf_index_free(index);
    lesson_folder_free(data);
}

// Files cannot grow beyond this: as on a disk without room, but for the word.
static void room_set(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = MIN(bytes, limit.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// It is not the file's fault: it stays, and serves again when there is room.
static void check_no_room(void **state)
{
    char *data = lesson_folder_new();
    g_autofree char *path = g_build_filename(data, "library.sqlite", NULL);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    ShelfIndex *index = corpus_index(data, TRUE);
    g_autofree char *before = everything(index);
    g_autoptr(GError) error = NULL;
    RecScanCounts counts;
    gboolean fresh;

    signal(SIGXFSZ, SIG_IGN);
    room_set(16384);
    assert_false(rec_scan(data, index, TRUE, NULL, NULL, &counts, &error));
    check_error(error, TK_ERROR_IO);
    shelf_index_free(index);
    assert_null(shelf_index_open(data, &fresh, &error));
    check_error(error, TK_ERROR_IO);
    index = shelf_index_open_memory(NULL);
    assert_true(rec_scan(data, index, TRUE, NULL, NULL, &counts, NULL));
    g_autofree char *meanwhile = everything(index);
    assert_string_equal(before, meanwhile);
    shelf_index_free(index);

    room_set(RLIM_INFINITY);
    index = shelf_index_open(data, &fresh, NULL);
    assert_false(fresh);
    g_autofree char *again = everything(index);
    assert_string_equal(before, again);
    assert_false(g_file_test(aside, G_FILE_TEST_EXISTS));
    shelf_index_free(index);
    lesson_folder_free(data);
}

// Of another version, as an upgrade leaves it beside the old recorder that still works.
static void check_looking_changes_nothing(void **state)
{
    char *data = lesson_folder_new();
    g_autofree char *path = g_build_filename(data, "library.sqlite", NULL);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    g_autoptr(GError) error = NULL;
    sqlite3 *db;
    gboolean fresh;

    assert_null(shelf_index_look(data, &error));
    check_error(error, TK_ERROR_IO);
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    shelf_index_free(corpus_index(data, FALSE));
    ShelfIndex *index = shelf_index_look(data, NULL);
    g_autofree char *seen = everything(index);
    check_contains(seen, corpus[0][0]);
    assert_false(shelf_index_clear(index, NULL));
    shelf_index_free(index);

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_null(shelf_index_look(data, &error));
    check_error(error, TK_ERROR_INVALID);
    assert_false(g_file_test(aside, G_FILE_TEST_EXISTS));
    index = shelf_index_open(data, &fresh, NULL);
    assert_true(fresh);
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));
    shelf_index_free(index);
    lesson_folder_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_terms),
        cmocka_unit_test(check_highlight),
        cmocka_unit_test(check_search),
        cmocka_unit_test(check_filters),
        cmocka_unit_test(check_replace_and_remove),
        cmocka_unit_test(check_many),
        cmocka_unit_test(check_rebuild),
        cmocka_unit_test(check_no_room),
        cmocka_unit_test(check_looking_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
