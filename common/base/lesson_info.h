// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"

// What people say about a lesson (design: "a lesson's record"). Every value is UTF-8 text of at
// most TK_LESSON_INFO_MAX bytes, or NULL; codes and labels come later beside them.
#define TK_LESSON_INFO_MAX 512

typedef struct {
    char *title;
    char *stage;   // 学段
    char *subject; // 学科
    char *grade;   // 年级
    char *edition; // 教材版本
    char *volume;  // 册次
    char *unit;    // 单元/课
    char *type;    // 课型
    char *teacher;
    char *school;
    char *alliance;
    char *room;
    char *description;
} TkLessonInfo;

TkLessonInfo *tk_lesson_info_new(void);
TkLessonInfo *tk_lesson_info_copy(const TkLessonInfo *info);
void tk_lesson_info_free(TkLessonInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkLessonInfo, tk_lesson_info_free)

gboolean tk_lesson_info_equal(const TkLessonInfo *a, const TkLessonInfo *b);

// The names of the fields in the order above, ended by NULL: they are JSON members, key-file keys
// (group [lesson]) and --option names alike. Borrowed, static.
const char *const *tk_lesson_info_fields(void);

// NULL when `field` is no field's name or not set. Borrowed until changed.
const char *tk_lesson_info_get(const TkLessonInfo *info, const char *field);

// NULL or "" clears. Refuses unknown fields, bad UTF-8, control characters, over-long values.
gboolean tk_lesson_info_set(TkLessonInfo *info, const char *field, const char *value,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;

// {"title":…,…}: set members only. New reference.
json_t *tk_lesson_info_to_json(const TkLessonInfo *info);

// Sets what `object` has (null clears) and leaves the rest: PATCH semantics. Unknown members are an
// error when `strict`, else passed over. On error `info` is unchanged.
gboolean tk_lesson_info_merge_json(TkLessonInfo *info, const json_t *object, gboolean strict,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Group [lesson] of a key file; the same strictness as configuration.
gboolean tk_lesson_info_load(TkLessonInfo *info, const char *path, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
