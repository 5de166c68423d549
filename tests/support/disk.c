/* A disk that can lose power and can be full, for one process: loaded before libc, it watches three calls.
 *
 * After each fsync or fdatasync that succeeded it appends "<device> <inode> <size>" to $DISK_SYNCED. The size is the
 * one before the call: what is written while the call runs may or may not be on the disk.
 * While the file $DISK_FULL exists, writes to regular files fail with ENOSPC.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t plain_write(int fd, const void *data, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = dlsym(RTLD_NEXT, "write");
    return next(fd, data, count);
}

static int synced(const char *name, int fd) {
    int (*next)(int) = dlsym(RTLD_NEXT, name);
    struct stat before;
    int known = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = next(fd);
    int error = errno;
    const char *path = getenv("DISK_SYNCED");
    if (result == 0 && known && path) {
        char line[96];
        int length = snprintf(line, sizeof line, "%llu %llu %lld\n", (unsigned long long)before.st_dev,
                              (unsigned long long)before.st_ino, (long long)before.st_size);
        int out = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (out >= 0) {
            plain_write(out, line, length);
            close(out);
        }
    }
    errno = error;
    return result;
}

int fsync(int fd) { return synced("fsync", fd); }

int fdatasync(int fd) { return synced("fdatasync", fd); }

ssize_t write(int fd, const void *data, size_t count) {
    const char *full = getenv("DISK_FULL");
    struct stat file;
    if (full && access(full, F_OK) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        errno = ENOSPC;
        return -1;
    }
    return plain_write(fd, data, count);
}
