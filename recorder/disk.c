// SPDX-License-Identifier: MIT
#include "recorder/disk.h"

#include <sys/statvfs.h>

static const char *const words[REC_DISK_LEVELS] = {"room", "low", "full"};

RecDiskLevel rec_disk_judge(const RecDiskRules *rules, guint64 free_bytes, guint64 open_bytes)
{
    if (free_bytes < rules->reserve_bytes)
        return REC_DISK_FULL;
    guint64 left = free_bytes - rules->reserve_bytes;
    if (left < open_bytes || left - open_bytes < rules->lesson_bytes)
        return REC_DISK_LOW;
    return REC_DISK_ROOM;
}

guint64 rec_disk_expected(const RecDiskRules *rules, guint64 size_bytes)
{
    return rules->lesson_bytes > size_bytes ? rules->lesson_bytes - size_bytes : 0;
}

const char *rec_disk_word(RecDiskLevel level)
{
    return words[level];
}

guint64 rec_disk_free(const char *path)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0)
        return G_MAXUINT64;
    return (guint64)disk.f_bavail * disk.f_frsize;
}
