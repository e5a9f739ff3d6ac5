// SPDX-License-Identifier: MIT
// Preloaded into a program under test: lets its disk fail, writes down what reaches the disk in
// which order, steps its wall clock, and gives it a boot of its own ($TONGKE_FAULT_BOOT). It
// touches files below $TONGKE_FAULT_FOLDER alone, and of those not the catalogue, which is made
// again from the rest.
//
// $TONGKE_FAULT_CONTROL names a page that the harness changes while the program runs;
// $TONGKE_FAULT_TRACE a file that gets a record for each thing done (tests/fault/disk.py reads it).
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX 4096

// Shared with tests/fault/control.py.
typedef struct {
    int64_t space_bytes; // that writes may still take; below 0: as much as they like
    int64_t fail_syncs;  // so many of the next syncs fail
    int64_t fail_writes; // so many of the next writes fail
    int64_t wall_offset_ns;
    int64_t failed; // how often one of these was felt
    int64_t steps;  // changes of what is on the disk, counted up
    int64_t die_at; // SIGKILL before that one; 0: never
} Control;

typedef struct {
    uint32_t payload_bytes;
    uint32_t kind; // a letter
    uint64_t inode;
    int64_t time_ns; // monotonic
    int64_t at;      // offset or size
} Record;

typedef struct {
    int watched, append;
    uint64_t inode;
    char path[PATH_MAX];
} File;

static Control none = {.space_bytes = -1};
static Control *control = &none;
static const char *folder, *boot;
static int trace = -1;
static File files[FDS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rmdir)(const char *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *page = getenv("TONGKE_FAULT_CONTROL"), *path = getenv("TONGKE_FAULT_TRACE");

    real_open = (int (*)(const char *, int, ...))next("open");
    real_close = (int (*)(int))next("close");
    real_write = (ssize_t(*)(int, const void *, size_t))next("write");
    real_ftruncate = (int (*)(int, off_t))next("ftruncate");
    real_fsync = (int (*)(int))next("fsync");
    real_fdatasync = (int (*)(int))next("fdatasync");
    real_rename = (int (*)(const char *, const char *))next("rename");
    real_unlink = (int (*)(const char *))next("unlink");
    real_mkdir = (int (*)(const char *, mode_t))next("mkdir");
    real_rmdir = (int (*)(const char *))next("rmdir");
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))next("clock_gettime");
    folder = getenv("TONGKE_FAULT_FOLDER");
    boot = getenv("TONGKE_FAULT_BOOT");
    if (page) {
        int fd = real_open(page, O_RDWR | O_CLOEXEC);
        void *shared = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED)
            control = shared;
        real_close(fd);
    }
    if (path)
        trace = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int watched(const char *path)
{
    const char *name = path ? strrchr(path, '/') : NULL;
    return folder && path && strncmp(path, folder, strlen(folder)) == 0 && name &&
           strncmp(name, "/library.sqlite", 15) != 0 && strcmp(name, "/recorder.lock") != 0;
}

static File *file_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX && files[fd].watched ? &files[fd] : NULL;
}

static void note(char kind, uint64_t inode, int64_t at, const void *payload, size_t bytes)
{
    struct timespec now;
    if (trace < 0)
        return;
    real_clock_gettime(CLOCK_MONOTONIC, &now);
    Record record = {.payload_bytes = (uint32_t)bytes,
                     .kind = (uint32_t)kind,
                     .inode = inode,
                     .time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec,
                     .at = at};
    if (real_write(trace, &record, sizeof record) != sizeof record ||
        (bytes && real_write(trace, payload, bytes) != (ssize_t)bytes))
        abort();
}

static void note_path(char kind, uint64_t inode, const char *path)
{
    note(kind, inode, 0, path, strlen(path));
}

// One failure of a kind that the harness asked for.
static int take(int64_t *count)
{
    int64_t before = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (before > 0)
        if (__atomic_compare_exchange_n(count, &before, before - 1, 0, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            __atomic_add_fetch(&control->failed, 1, __ATOMIC_RELAXED);
            return 1;
        }
    return 0;
}

// Before each change.
static void step(void)
{
    if (__atomic_add_fetch(&control->steps, 1, __ATOMIC_RELAXED) == control->die_at)
        raise(SIGKILL);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (boot && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot;
    if (!watched(path))
        return real_open(path, flags, mode);
    if (flags & (O_CREAT | O_TRUNC))
        step();
    pthread_mutex_lock(&lock);
    int fresh = (flags & O_CREAT) && access(path, F_OK) != 0;
    if (fresh && control->space_bytes == 0) {
        control->failed++;
        pthread_mutex_unlock(&lock);
        errno = ENOSPC;
        return -1;
    }
    int fd = real_open(path, flags, mode);
    struct stat info;
    if (fd >= 0 && fd < FDS_MAX && fstat(fd, &info) == 0) {
        File *file = &files[fd];
        file->watched = 1;
        file->append = (flags & O_APPEND) != 0;
        file->inode = info.st_ino;
        snprintf(file->path, sizeof file->path, "%s", path);
        if (fresh)
            note_path('C', file->inode, path);
        else if (flags & O_TRUNC)
            note('T', file->inode, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX)
        files[fd].watched = 0;
    return real_close(fd);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    File *file = file_of(fd);
    if (!file)
        return real_write(fd, data, bytes);
    step();
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    size_t room = bytes;
    if (control->space_bytes >= 0 && (int64_t)bytes > control->space_bytes)
        room = (size_t)control->space_bytes;
    int code = 0;
    if (take(&control->fail_writes)) {
        code = EIO;
    } else if (bytes > 0 && room == 0) {
        control->failed++;
        code = ENOSPC;
    } else {
        off_t at = lseek(fd, 0, file->append ? SEEK_END : SEEK_CUR);
        done = real_write(fd, data, room);
        code = errno;
        if (done > 0) {
            note('W', file->inode, at, data, (size_t)done);
            if (control->space_bytes >= 0)
                control->space_bytes -= done;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = code;
    return done;
}

int ftruncate(int fd, off_t size)
{
    File *file = file_of(fd);
    if (file)
        step();
    pthread_mutex_lock(&lock);
    int result = real_ftruncate(fd, size);
    if (file && result == 0)
        note('T', file->inode, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off64_t size) __attribute__((alias("ftruncate")));

static int synced(int fd, int (*real)(int))
{
    File *file = file_of(fd);
    if (!file)
        return real(fd);
    step();
    if (take(&control->fail_syncs)) {
        errno = EIO;
        return -1;
    }
    int result = real(fd);
    pthread_mutex_lock(&lock);
    if (result == 0)
        note_path('S', file->inode, file->path);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return synced(fd, real_fsync);
}

int fdatasync(int fd)
{
    return synced(fd, real_fdatasync);
}

int rename(const char *from, const char *to)
{
    if (watched(to))
        step();
    pthread_mutex_lock(&lock);
    int result = real_rename(from, to);
    if (result == 0 && watched(to) && trace >= 0) {
        char both[2 * PATH_MAX];
        int bytes = snprintf(both, sizeof both, "%s\n%s", from, to);
        note('R', 0, 0, both, (size_t)bytes);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int path_done(char kind, const char *path, int result)
{
    if (result == 0 && watched(path))
        note_path(kind, 0, path);
    return result;
}

int unlink(const char *path)
{
    if (watched(path))
        step();
    pthread_mutex_lock(&lock);
    int result = path_done('U', path, real_unlink(path));
    pthread_mutex_unlock(&lock);
    return result;
}

int rmdir(const char *path)
{
    if (watched(path))
        step();
    pthread_mutex_lock(&lock);
    int result = path_done('U', path, real_rmdir(path));
    pthread_mutex_unlock(&lock);
    return result;
}

int mkdir(const char *path, mode_t mode)
{
    if (watched(path))
        step();
    pthread_mutex_lock(&lock);
    int result;
    if (watched(path) && control->space_bytes == 0 && access(path, F_OK) != 0) {
        control->failed++;
        errno = ENOSPC;
        result = -1;
    } else {
        result = path_done('M', path, real_mkdir(path, mode));
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    // Others' constructors may come before ours.
    if (!real_clock_gettime)
        real_clock_gettime = (int (*)(clockid_t, struct timespec *))next("clock_gettime");
    int result = real_clock_gettime(clock, ret);
    int64_t offset_ns = control->wall_offset_ns;
    if (result == 0 && clock == CLOCK_REALTIME && offset_ns) {
        int64_t ns = ret->tv_sec * INT64_C(1000000000) + ret->tv_nsec + offset_ns;
        ret->tv_sec = ns / 1000000000;
        ret->tv_nsec = ns % 1000000000;
    }
    return result;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = now.tv_nsec / 1000;
    return 0;
}
