// SPDX-License-Identifier: MIT
// tongke-catalogue COUNT FOLDER: fills a library's index with lessons as a city has them, if it is
// not there yet, and tells how long searches take, in milliseconds: the first, the median of all,
// and the median of the processor's time, which other programs disturb less.
#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "recorder/library/index.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 15
#define BATCH 5000
#define BEGAN_NS (1600000000 * TK_NS_PER_S)
#define APART_NS (300 * TK_NS_PER_S)

static const char *const subjects[] = {"语文", "数学", "英语", "物理", "化学", "生物学",  "历史",
                                       "地理", "音乐", "美术", "科学", "劳动", "信息科技"};
static const char *const grades[] = {"一年级", "二年级", "三年级", "四年级", "五年级", "六年级",
                                     "七年级", "八年级", "九年级", "高一",   "高二",   "高三"};
static const char *const topics[] = {
    "函数", "单调", "极限", "方程", "三角", "概率", "向量", "静夜", "春天", "小数", "分数",
    "面积", "力学", "电路", "酸碱", "细胞", "气候", "地形", "秦汉", "唐诗", "宋词", "语法",
    "阅读", "写作", "合唱", "素描", "编程", "植物", "天体", "声音", "光学", "溶液"};
static const char *const forms[] = {"的性质", "的应用", "复习", "练习",
                                    "实验",   "初步",   "讲评", "与生活"};
static const char *const names[] = {"王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周"};
static const char *const given[] = {"芳", "明", "伟", "静", "强", "丽", "军", "敏", "勇", "艳"};

#define PICK(list, chance) list[g_rand_int_range(chance, 0, G_N_ELEMENTS(list))]

static RecLesson *lesson_make(GRand *chance, guint number)
{
    gint64 started_ns = BEGAN_NS + number * APART_NS;
    g_autofree char *id = tk_ulid_new(started_ns);
    g_autofree char *name = g_strdup_printf("room-%d", g_rand_int_range(chance, 0, 2000));
    g_autofree char *title =
        g_strdup_printf("%s%s%s %d", PICK(topics, chance), PICK(topics, chance),
                        PICK(forms, chance), g_rand_int_range(chance, 1, 30));
    g_autofree char *teacher =
        g_strconcat(PICK(names, chance), PICK(given, chance), PICK(given, chance), NULL);
    g_autofree char *school = g_strdup_printf("第%d中学", g_rand_int_range(chance, 1, 500));
    const char *const fields[][2] = {{"title", title},
                                     {"subject", PICK(subjects, chance)},
                                     {"grade", PICK(grades, chance)},
                                     {"teacher", teacher},
                                     {"school", school}};
    RecLesson *lesson = rec_lesson_new(id, name);
    lesson->state = REC_STATE_CLOSED;
    lesson->started_ns = started_ns;
    for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
        if (!tk_lesson_info_set(lesson->info, fields[i][0], fields[i][1], NULL))
            g_error("no field %s", fields[i][0]);
    return lesson;
}

static void fill(ShelfIndex *index, guint count)
{
    g_autoptr(GRand) chance = g_rand_new_with_seed(7);
    g_autoptr(GError) error = NULL;
    for (guint i = 0; i < count && !error; i++) {
        g_autoptr(RecLesson) lesson = lesson_make(chance, i);
        if (i % BATCH == 0 && !shelf_index_begin(index, &error))
            break;
        if (!shelf_index_put(index, lesson, NULL, &error))
            break;
        if ((i % BATCH == BATCH - 1 || i == count - 1) && !shelf_index_commit(index, &error))
            break;
    }
    if (error)
        g_error("%s", error->message);
}

static gint64 cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * TK_NS_PER_S + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(ShelfIndex *index, const char *what, const ShelfFilter *filter)
{
    double ms[ROUNDS], cpu_ms[ROUNDS];
    guint total = 0;
    for (guint i = 0; i < ROUNDS; i++) {
        g_auto(ShelfPage) page = {0};
        g_autoptr(GError) error = NULL;
        gint64 began_ns = tk_clock_monotonic_ns(), cpu_began_ns = cpu_ns();
        if (!shelf_index_find(index, filter, &page, &error))
            g_error("%s", error->message);
        cpu_ms[i] = (double)(cpu_ns() - cpu_began_ns) / 1e6;
        ms[i] = (double)(tk_clock_monotonic_ns() - began_ns) / 1e6;
        total = page.total;
    }
    double first = ms[0];
    qsort(ms, ROUNDS, sizeof *ms, compare);
    qsort(cpu_ms, ROUNDS, sizeof *cpu_ms, compare);
    printf("%9u %9.1f %9.1f %9.1f  %s\n", total, first, ms[ROUNDS / 2], cpu_ms[ROUNDS / 2], what);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    gboolean fresh = FALSE;
    if (argc != 3) {
        fprintf(stderr, "usage: tongke-catalogue COUNT FOLDER\n");
        return 2;
    }
    g_autoptr(ShelfIndex) index = shelf_index_open(argv[2], &fresh, &error);
    if (!index)
        g_error("%s", error->message);
    if (fresh)
        fill(index, (guint)atoi(argv[1]));
    const struct {
        const char *what;
        ShelfFilter filter;
    } asked[] = {
        {"everything", {.limit = 20}},
        {"everything, page 50", {.limit = 20, .offset = 1000}},
        {"of a subject", {.subject = "数学", .limit = 20}},
        {"of a subject and grade", {.subject = "数学", .grade = "高一", .limit = 20}},
        {"of a teacher", {.teacher = "王芳明", .limit = 20}},
        {"of a room", {.name = "room-7", .limit = 1}},
        {"of a month",
         {.from_ns = BEGAN_NS, .to_ns = BEGAN_NS + 30 * 86400 * TK_NS_PER_S, .limit = 20}},
        {"单调", {.query = "单调", .limit = 20}},
        {"函", {.query = "函", .limit = 20}},
        {"数学", {.query = "数学", .limit = 20}},
        {"高一 数学 函数 单调", {.query = "高一 数学 函数 单调", .limit = 20}},
        {"高一数学函数", {.query = "高一数学函数", .limit = 20}},
        {"单调 of a subject", {.query = "单调", .subject = "数学", .limit = 20}},
        {"王芳明", {.query = "王芳明", .limit = 20}},
        {"中", {.query = "中", .limit = 20}},
    };
    printf("%9s %9s %9s %9s  %s\n", "found", "first", "median", "cpu", "search");
    for (gsize i = 0; i < G_N_ELEMENTS(asked); i++)
        measure(index, asked[i].what, &asked[i].filter);
    return 0;
}
