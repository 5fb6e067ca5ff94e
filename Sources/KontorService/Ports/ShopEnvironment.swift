// All ports of a shop as one value.

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
}
