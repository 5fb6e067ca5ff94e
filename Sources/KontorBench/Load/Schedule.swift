// When the requests of an open loop are due. Pure: the clock is the caller's.

/// Evenly spaced requests, whatever becomes of the earlier ones. Times are monotonic nanoseconds.
public struct Schedule: Sendable {
    /// When request 0 is due.
    public let start: Int64
    /// Requests a second.
    public let perSecond: Double

    public init(start: Int64, perSecond: Double) {
        self.start = start
        self.perSecond = perSecond
    }

    /// When the request of this number is due. Computed from the number and not from the request before, so that
    /// rounding errors do not add up.
    public func due(_ number: Int) -> Int64 { start + Int64(Double(number) * 1e9 / perSecond) }

    /// How many are due by this moment.
    public func count(by now: Int64) -> Int {
        guard now >= start else { return 0 }
        var count = Int(Double(now - start) * perSecond / 1e9)
        // The division may have rounded either way.
        while due(count) <= now { count += 1 }
        while count > 0, due(count - 1) > now { count -= 1 }
        return count
    }
}
