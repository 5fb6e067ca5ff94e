// The log and the clock of links.

import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Takes events that operators should see: connections that come, go or are refused. Messages are constant, the data is
/// in the details. Called on the event loop.
public typealias LinkLog = (_ event: StaticString, _ details: [String: String]) -> Void

enum LinkClock {
    /// Milliseconds that never go back.
    static var nowMilliseconds: Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000) }

    /// Milliseconds since 1970; they may jump.
    static var wallMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// Detects that this process did not run for a while (paused, or its machine suspended). Then it has not read what came
/// meanwhile, and must not take others for dead.
struct AwayDetector {
    private let bound: Int64
    private var last: Int64?

    /// - Parameter tickMilliseconds: how often ``wasAway(now:)`` is called.
    init(tickMilliseconds: Int64) { bound = 4 * tickMilliseconds }

    /// Whether more time has passed since the last call than between any two ticks of a running process.
    mutating func wasAway(now: Int64) -> Bool {
        defer { last = now }
        return last.map { now - $0 > bound } ?? false
    }
}
