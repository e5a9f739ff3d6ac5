// SPDX-License-Identifier: MIT
#include "tests/bench/viewer.h"

void load_viewer_lost(LoadViewer *viewer, const char *why)
{
    viewer->playing = FALSE;
    if (viewer->left)
        return;
    viewer->left = TRUE;
    viewer->why = g_strdup(why);
}
