// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <sys/stat.h>

// Reads a small regular file whole: never a pipe, never more than `max_bytes`. The text is newly
// allocated and ends in a NUL that *ret_length (which may be NULL) does not count.
// TK_ERROR_NOT_FOUND, TK_ERROR_IO or TK_ERROR_TOO_LARGE, naming `path`.
char *tk_file_read(const char *path, gsize max_bytes, gsize *ret_length, GError **error);

// The same, and what fstat(2) said of the very file that was read.
char *tk_file_read_stat(const char *path, gsize max_bytes, gsize *ret_length, struct stat *ret_stat,
                        GError **error);
