// SPDX-License-Identifier: MIT
#include "tests/bench/process.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *read_proc(guint pid, const char *name)
{
    char *text = NULL;
    g_autofree char *path = g_strdup_printf("/proc/%u/%s", pid, name);
    return g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

// Fields 14 and 15 of proc(5), counted from behind the name, which may hold anything.
static gint64 ticks_ns(guint pid)
{
    g_autofree char *stat = read_proc(pid, "stat");
    const char *behind = stat ? strrchr(stat, ')') : NULL;
    if (!behind)
        return -1;
    g_auto(GStrv) fields = g_strsplit(behind + 2, " ", 15);
    if (g_strv_length(fields) < 15)
        return -1;
    gint64 ticks = strtoll(fields[11], NULL, 10) + strtoll(fields[12], NULL, 10);
    return ticks * (1000000000 / sysconf(_SC_CLK_TCK));
}

gint64 load_process_cpu_ns(guint pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%u/task", pid);
    g_autoptr(GDir) tasks = g_dir_open(path, 0, NULL);
    gint64 sum = 0;
    const char *task;
    while (tasks && (task = g_dir_read_name(tasks))) {
        g_autofree char *name = g_strdup_printf("task/%s/schedstat", task);
        g_autofree char *text = read_proc(pid, name);
        sum += text ? strtoll(text, NULL, 10) : 0;
    }
    return sum > 0 ? sum : ticks_ns(pid);
}

gint64 load_process_rss_bytes(guint pid)
{
    g_autofree char *text = read_proc(pid, "statm");
    const char *second = text ? strchr(text, ' ') : NULL;
    return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : -1;
}

gint load_process_descriptors(guint pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%u/fd", pid);
    g_autoptr(GDir) all = g_dir_open(path, 0, NULL);
    gint count = all ? 0 : -1;
    while (all && g_dir_read_name(all))
        count++;
    return count;
}
