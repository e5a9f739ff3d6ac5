// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/config.h"

// The recorder's configuration: configs/tongke-recorder.conf is made from it.
extern const TkConfigField rec_options_fields[];

#define REC_OPTIONS_TITLE "tongke-recorder: records lessons and serves the library"

// What the command line says beside the configuration.
typedef struct {
    gboolean version, print_example, rebuild_index, check, retention, dry_run;
} RecOptions;

// Fills `config` from --config and then, in their order, from --set, --data and --relay.
gboolean rec_options_parse(int *argc, char ***argv, TkConfig *config, RecOptions *ret,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
