"""Clocks that misbehave: a library in front of the system's, which a process loads by LD_PRELOAD."""

from pathlib import Path

from Tests.kontor_testing.programs import run

_SOURCE = """
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = syscall(SYS_clock_gettime, clock, now);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += SECONDS;
    return code;
}

int gettimeofday(struct timeval *now, void *zone) {
    int code = syscall(SYS_gettimeofday, now, zone);
    if (code == 0) now->tv_sec += SECONDS;
    return code;
}
"""


def set_back_at_each_wait(directory: Path, seconds: int) -> dict:
    """The environment of a process for which the wall clock is always set back by so much after it was read: what it waits for by
    that clock comes late. Its other clocks are right."""
    source, library = directory / "clock.c", directory / "clock.so"
    source.write_text(_SOURCE)
    run("cc", "-shared", "-fPIC", f"-DSECONDS={seconds}", "-o", library, source)
    return {"LD_PRELOAD": str(library)}
