// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <stdio.h>

// What the command line says. All members are borrowed for the program's life.
typedef struct {
    char *relay;   // URL
    char *library; // URL
    char *token;   // or NULL
    gboolean json; // print answers as they come

    char *algorithm, *public_path;                       // key
    char *key_path, *role, *lesson, *school, *expires;   // token
    char *subject, *grade, *teacher, *from, *to, *limit; // recording list, search
    char *reason;
    gboolean dry_run;

    char **words; // what is left behind the command's own words, ended by NULL
} CtlOptions;

// Each runs one command with as many words as its row in main.c says; FALSE with `error` when it
// could not be done.
typedef gboolean (*CtlRun)(const CtlOptions *options, GError **error);

gboolean ctl_key_new(const CtlOptions *options, GError **error);
gboolean ctl_token_issue(const CtlOptions *options, GError **error);

gboolean ctl_lesson_list(const CtlOptions *options, GError **error);
gboolean ctl_lesson_show(const CtlOptions *options, GError **error);
gboolean ctl_lesson_edit(const CtlOptions *options, GError **error);
gboolean ctl_lesson_end(const CtlOptions *options, GError **error);

gboolean ctl_school_list(const CtlOptions *options, GError **error);

gboolean ctl_recording_list(const CtlOptions *options, GError **error);
gboolean ctl_recording_search(const CtlOptions *options, GError **error);
gboolean ctl_recording_show(const CtlOptions *options, GError **error);
gboolean ctl_recording_edit(const CtlOptions *options, GError **error);
gboolean ctl_recording_delete(const CtlOptions *options, GError **error);

gboolean ctl_health(const CtlOptions *options, GError **error);
