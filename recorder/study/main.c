// SPDX-License-Identifier: MIT
// tongke-study FOLDER STREAM: what is made of a recording after the lesson. The recorder starts it,
// so that a decoder that breaks breaks nothing else.
#include "common/base/log.h"
#include "recorder/study/poster.h"

#include <gst/gst.h>

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    tk_log_init("tongke-study");
    if (argc != 3) {
        g_printerr("usage: tongke-study FOLDER STREAM\n");
        return 2;
    }
    gst_init(NULL, NULL);
    if (!study_poster_make(argv[1], argv[2], &error)) {
        tk_log(TK_LOG_WARNING, &(TkLogFields){.stream = argv[2]}, "no still of %s: %s", argv[1],
               error->message);
        return 1;
    }
    return 0;
}
