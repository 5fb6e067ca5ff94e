#include <stdint.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Asks the kernel to run the calling thread in short turns, and so sooner, with the same share of the processor. Linux before 6.12
/// ignores it. Returns 0, or -1 with errno. See sched_setattr(2); Swift cannot call the variadic syscall(2) itself.
static inline long kontor_ask_for_time_slice(uint64_t nanoseconds) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attributes = {.size = sizeof(attributes), .runtime = nanoseconds};
    return syscall(SYS_sched_setattr, 0, &attributes, 0);
}
