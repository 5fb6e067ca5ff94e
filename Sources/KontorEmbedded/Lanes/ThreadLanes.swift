// The lanes in production: a thread each. Results are posted to the thread that owns the store.

import DequeModule

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Lanes with a thread each. The thread of `Lane.fold` gives way to all others.
public final class ThreadLanes: Lanes {
    /// Runs a closure on the serial domain, soon, in the order of posting.
    public typealias Post = @Sendable (@escaping @Sendable () -> Void) -> Void

    private let post: Post
    private let threads: [LaneThread]

    /// Starts the threads.
    ///
    /// - Parameter post: brings results back to the serial domain.
    public init(post: @escaping Post) {
        self.post = post
        threads = Lane.allCases.map { lane in
            LaneThread(name: "kontor-\(lane)", niceness: lane == .fold ? Self.foldNiceness : 0)
        }
    }

    /// Lets each lane finish what it was given, and ends its thread. Blocks until then.
    public func stop() {
        for thread in threads { thread.stop() }
    }

    /// See ``Lanes``.
    public func perform<Value: Sendable>(
        on lane: Lane, _ work: @escaping @Sendable () -> Value, then: @escaping (Value) -> Void
    ) {
        // The continuation comes from the serial domain and runs there: the lane only carries it.
        let carried = Carried(value: then)
        threads[lane.rawValue].enqueue { [post] in
            let value = work()
            post { carried.value(value) }
        }
    }

    /// A busy shop comes first, and still the fold moves on.
    private static let foldNiceness: Int32 = 10
}

/// A value that a lane carries from the serial domain and back. `@unchecked Sendable`: the lane does not use it.
private struct Carried<Value>: @unchecked Sendable {
    let value: Value
}

/// A thread and its queue. `@unchecked Sendable`: the mutex guards `works` and `isStopping`, and the rest does not
/// change.
private final class LaneThread: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var works: Deque<@Sendable () -> Void> = []
    private var isStopping = false
    private var thread = pthread_t()
    private let name: String
    private let niceness: Int32

    init(name: String, niceness: Int32) {
        self.name = name
        self.niceness = niceness
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        let context = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<LaneThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, context.toOpaque())
        precondition(code == 0, "A thread for a lane could not be made: the process has too many.")
    }

    deinit {
        pthread_mutex_destroy(mutex)
        pthread_cond_destroy(condition)
        mutex.deallocate()
        condition.deallocate()
    }

    func enqueue(_ work: @escaping @Sendable () -> Void) {
        pthread_mutex_lock(mutex)
        works.append(work)
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
    }

    func stop() {
        pthread_mutex_lock(mutex)
        let isFirst = !isStopping
        isStopping = true
        pthread_mutex_unlock(mutex)
        pthread_cond_signal(condition)
        if isFirst { pthread_join(thread, nil) }
    }

    private func run() {
        setName()
        // On Linux a thread has its own niceness, and 0 names the calling one.
        if niceness != 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness) }
        while let work = next() { work() }
    }

    /// Sets the name that `top -H` shows. Linux takes 15 characters.
    private func setName() {
        let descriptor = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = write(descriptor, name, min(15, name.utf8.count))
        close(descriptor)
    }

    private func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while works.isEmpty && !isStopping { pthread_cond_wait(condition, mutex) }
        return works.popFirst()
    }
}
