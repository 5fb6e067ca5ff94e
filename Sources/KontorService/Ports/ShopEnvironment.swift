// What a shop needs from outside, together.

/// The ports of one shop: its store, time, chance, and where it tells and counts what happens.
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
