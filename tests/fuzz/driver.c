// SPDX-License-Identifier: MIT
// Runs a fuzz target on every file of a folder, as an ordinary test that speaks TAP: on the file
// itself, on each of its beginnings, and with each of its bytes changed in one way of three, in
// turn.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>

#include "tests/fuzz/target.h"

// Longer files are cut and changed at this many places only.
#define PLACES_MAX 2048

// In memory of exactly this size, so that ASan sees a read beyond it.
static void run(const char *data, gsize length)
{
    uint8_t *copy = malloc(length ? length : 1);

    if (!copy)
        g_error("out of memory");
    memcpy(copy, data, length);
    LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

static void run_file(char *data, gsize length)
{
    static const char changes[] = {0x01, (char)0x80, (char)0xff};
    gsize step = length / PLACES_MAX + 1;

    run(data, length);
    for (gsize place = 0; place < length; place += step) {
        run(data, place);
        char change = changes[place / step % sizeof changes];
        data[place] ^= change;
        run(data, length);
        data[place] ^= change;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    g_autoptr(GDir) folder = g_dir_open(argv[1], 0, &error);
    if (!folder) {
        fprintf(stderr, "%s\n", error->message);
        return 2;
    }
    for (const char *name = g_dir_read_name(folder); name; name = g_dir_read_name(folder))
        g_ptr_array_add(names, g_strdup(name));
    g_ptr_array_sort(names, compare_names);
    printf("1..%u\n", names->len);
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(argv[1], names->pdata[i], NULL);
        g_autofree char *data = NULL;
        gsize length = 0;
        gboolean read = g_file_get_contents(path, &data, &length, NULL);
        if (read)
            run_file(data, length);
        printf("%s %u - %s\n", read ? "ok" : "not ok", i + 1, (char *)names->pdata[i]);
        fflush(stdout);
    }
    return names->len > 0 ? 0 : 1;
}
