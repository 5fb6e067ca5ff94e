// A signal between threads that one waits for with a time limit, by a clock that nobody sets.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A signal that stays raised until somebody has waited for it. Foundation's conditions and Dispatch's semaphores wait
/// by the wall clock on Linux: set back, it makes a wait of 25 ms one of hours.
///
/// `@unchecked Sendable`: the mutex guards `isRaised`, and the rest does not change.
public final class TimedSignal: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var isRaised = false

    public init() {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
        pthread_mutex_init(mutex, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Raises the signal. Whoever waits for it goes on.
    public func raise() {
        pthread_mutex_lock(mutex)
        isRaised = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
    }

    /// Waits until the signal is raised, or until the time is over, and takes it down.
    ///
    /// - Returns: whether it was raised.
    @discardableResult
    public func wait(milliseconds: Int64) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        if !isRaised {
            var end = Self.end(of: milliseconds)
            while !isRaised, pthread_cond_timedwait(condition, mutex, &end) == 0 {}
        }
        defer { isRaised = false }
        return isRaised
    }

    private static func end(of milliseconds: Int64) -> timespec {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int(milliseconds % 1_000) * 1_000_000
        end.tv_sec += Int(milliseconds / 1_000) + nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        return end
    }
}
