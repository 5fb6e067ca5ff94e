// What links tell operators, and the clock that they measure with.

import NIOCore

/// Takes what an operator should see: connections that come, go or are refused. Messages are constant, the data is in the details.
/// Called on the event loop.
public typealias LinkLog = (_ event: StaticString, _ details: [String: String]) -> Void

enum LinkClock {
    /// Never goes back.
    static var nowMilliseconds: Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1_000_000) }
}

/// Whether this process itself was away (paused, or its machine suspended) between two of its ticks: then it has not read what came
/// meanwhile, and must not take others for dead.
struct AwayDetector {
    private let bound: Int64
    private var last: Int64?

    /// - Parameter tickMilliseconds: how often it is asked.
    init(tickMilliseconds: Int64) { bound = 4 * tickMilliseconds }

    /// Whether more time has passed since the last call than there ever is between two ticks.
    mutating func wasAway(now: Int64) -> Bool {
        defer { last = now }
        return last.map { now - $0 > bound } ?? false
    }
}
