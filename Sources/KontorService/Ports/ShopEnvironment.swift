// The other ports of a shop: time, randomness, and the operators' log; and all of them as one value.

import KontorCore

/// The ports of one shop: store, clocks, randomness, the operators' log, and metrics.
public struct ShopEnvironment {
    public let store: any RecordStore
    public let clock: any ShopClock
    public let random: any RandomSource
    public let log: any EventLog
    public let metrics: ShopMetrics

    public init(
        store: any RecordStore, clock: any ShopClock, random: any RandomSource, log: any EventLog,
        metrics: ShopMetrics = ShopMetrics()
    ) {
        self.store = store
        self.clock = clock
        self.random = random
        self.log = log
        self.metrics = metrics
    }

    /// A new id, by which records sort roughly by their creation.
    func newID() -> Identifier {
        Identifier(createdAt: clock.wallMilliseconds, random: random.next(), random.next())
    }
}

/// The clocks. Deadlines within a process are monotonic; deadlines that are stored or sent are wall clock.
public protocol ShopClock: AnyObject {
    /// Milliseconds that never go back; their zero has no meaning.
    var monotonicMilliseconds: Int64 { get }
    /// Milliseconds since 1970; they may jump.
    var wallMilliseconds: Int64 { get }
}

/// The source of random numbers, for ids and incarnations.
public protocol RandomSource: AnyObject {
    func next() -> UInt64
}

/// Takes the events that operators should see. Messages are constant; the data is in `details`.
public protocol EventLog: AnyObject {
    /// Reports something that must not happen.
    func alarm(_ event: StaticString, _ details: [String: String])
    /// Reports something that an operator should look at: work is refused, or the disk is slow.
    func warning(_ event: StaticString, _ details: [String: String])
    /// Reports something that an operator wants to know later: what began, ended or was replaced.
    func notice(_ event: StaticString, _ details: [String: String])
}
