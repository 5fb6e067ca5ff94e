// Loaded into kontor (LD_PRELOAD), it makes its wall clock (SystemPorts.swift) go fifty years ahead: keys that are kept then expire in
// 2077. Other clocks stay: threads that wait by them would wait for fifty years.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    if (id == CLOCK_REALTIME_COARSE) now->tv_sec += 50L * 365 * 24 * 3600;
    return result;
}
