/* A wall clock that can be moved, for one process: loaded before libc, it watches three calls.
 *
 * $CLOCK_OFFSET is a file of 8 bytes, nanoseconds in the machine's byte order, which are added to the true time. It is
 * mapped: what is written to it counts from the next look at the clock on, and a look costs no call of the system.
 * Monotonic clocks, sleeping and waiting stay true. libfaketime changes waiting as well: a thread of Python's that
 * waited for the interpreter's lock then waited for seconds, and time.sleep failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SECOND = 1000000000 };

static int (*plain_clock_gettime)(clockid_t, struct timespec *);
static const volatile int64_t *offset;

__attribute__((constructor)) static void begin(void) {
    plain_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *found = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (found != MAP_FAILED) offset = found;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!plain_clock_gettime) begin(); /* somebody's constructor was earlier */
    int result = plain_clock_gettime(clock, time);
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t moved = time->tv_sec * (int64_t)SECOND + time->tv_nsec + *offset;
        time->tv_sec = moved / SECOND;
        time->tv_nsec = moved % SECOND;
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
