// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/options.h"

// The program put together: index, salvage, writer, relay's follower and library's server.

// Runs until SIGTERM or SIGINT. Prints "listening http ADDRESS:PORT" once requests are taken.
gboolean rec_recorder_run(const TkConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Deletes what is due by [retention] and prints it; `dry`: only prints it.
gboolean rec_recorder_retain(const TkConfig *config, gboolean dry,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

// Makes the index anew from the folders and prints what was found.
gboolean rec_recorder_rebuild(const TkConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
