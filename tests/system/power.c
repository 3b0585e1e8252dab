/* A disk that forgets: preloaded into the service, it keeps beside each database file a copy that holds only
 * what was synced (FILE.durable). After a kill, putting the copies in place of the files is a power cut
 * on a disk that kept nothing it had not been told to sync. While the file named by POWER_FULL exists, the
 * disk is full.
 *
 * Files are those whose path begins with POWER_PREFIX. Only what SQLite uses is covered: open, pwrite, write,
 * ftruncate, fsync, fdatasync, unlink, close.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 1024

struct range {
    off_t from;
    size_t length;
};

struct file {
    char path[512]; /* empty: not one of ours */
    struct range *unsynced;
    size_t count, room;
};

static struct file files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

static void note_open(int fd, const char *path)
{
    const char *prefix = getenv("POWER_PREFIX");
    if (fd < 0 || fd >= FILES)
        return;
    files[fd].path[0] = 0;
    files[fd].count = 0;
    if (prefix && strncmp(path, prefix, strlen(prefix)) == 0)
        snprintf(files[fd].path, sizeof files[fd].path, "%s", path);
}

static struct file *ours(int fd)
{
    return fd >= 0 && fd < FILES && files[fd].path[0] ? &files[fd] : NULL;
}

static int is_full(void)
{
    const char *flag = getenv("POWER_FULL");
    return flag && access(flag, F_OK) == 0;
}

static void note_write(int fd, off_t from, ssize_t length)
{
    struct file *file = ours(fd);
    if (!file || length <= 0)
        return;
    pthread_mutex_lock(&lock);
    if (file->count == file->room) {
        file->room = file->room ? 2 * file->room : 64;
        file->unsynced = realloc(file->unsynced, file->room * sizeof *file->unsynced);
        if (!file->unsynced)
            abort();
    }
    file->unsynced[file->count++] = (struct range){from, (size_t)length};
    pthread_mutex_unlock(&lock);
}

static void copy_range(int from_fd, int to_fd, struct range range)
{
    char buffer[65536];
    while (range.length > 0) {
        size_t some = range.length < sizeof buffer ? range.length : sizeof buffer;
        ssize_t got = pread(from_fd, buffer, some, range.from);
        if (got <= 0)
            return; /* truncated since */
        if (REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(to_fd, buffer, got, range.from) != got)
            abort();
        range.from += got;
        range.length -= got;
    }
}

static void make_durable(int fd)
{
    struct file *file = ours(fd);
    char path[600];
    if (!file)
        return;
    snprintf(path, sizeof path, "%s.durable", file->path);
    pthread_mutex_lock(&lock);
    int copy = REAL(int, open, const char *, int, ...)(path, O_RDWR | O_CREAT, 0600);
    int source = REAL(int, open, const char *, int, ...)(file->path, O_RDONLY);
    if (copy < 0 || source < 0)
        abort();
    for (size_t n = 0; n < file->count; n++)
        copy_range(source, copy, file->unsynced[n]);
    file->count = 0;
    off_t size = lseek(source, 0, SEEK_END);
    if (lseek(copy, 0, SEEK_END) > size && REAL(int, ftruncate, int, off_t)(copy, size))
        abort();
    REAL(int, close, int)(source);
    REAL(int, close, int)(copy);
    pthread_mutex_unlock(&lock);
}

static int open_mode(int flags, va_list arguments)
{
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = REAL(int, open, const char *, int, ...)(path, flags, open_mode(flags, arguments));
    va_end(arguments);
    note_open(fd, path);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = REAL(int, open64, const char *, int, ...)(path, flags, open_mode(flags, arguments));
    va_end(arguments);
    note_open(fd, path);
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < FILES)
        files[fd].path[0] = 0;
    return REAL(int, close, int)(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t from)
{
    if (ours(fd) && is_full())
        return errno = ENOSPC, -1;
    ssize_t written = REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(fd, bytes, length, from);
    note_write(fd, from, written);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t from)
{
    return pwrite(fd, bytes, length, from);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    if (!ours(fd))
        return REAL(ssize_t, write, int, const void *, size_t)(fd, bytes, length);
    if (is_full())
        return errno = ENOSPC, -1;
    off_t from = lseek(fd, 0, SEEK_CUR);
    ssize_t written = REAL(ssize_t, write, int, const void *, size_t)(fd, bytes, length);
    note_write(fd, from, written);
    return written;
}

int fsync(int fd)
{
    int failed = REAL(int, fsync, int)(fd);
    if (!failed)
        make_durable(fd);
    return failed;
}

int fdatasync(int fd)
{
    int failed = REAL(int, fdatasync, int)(fd);
    if (!failed)
        make_durable(fd);
    return failed;
}

int unlink(const char *path)
{
    const char *prefix = getenv("POWER_PREFIX");
    if (prefix && strncmp(path, prefix, strlen(prefix)) == 0) {
        char copy[600];
        snprintf(copy, sizeof copy, "%s.durable", path);
        REAL(int, unlink, const char *)(copy);
    }
    return REAL(int, unlink, const char *)(path);
}
