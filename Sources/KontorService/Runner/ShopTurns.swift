// The turns of a shop: what its runner does each time it wakes.

import KontorCore

/// Runs a ``Shop`` turn by turn. Confined to one serial domain.
public struct ShopTurns {
    /// A request that was taken.
    public struct Arrival {
        let request: ShopRequest
        let name: WriteName?
        let deadline: Int64
        let caller: any Caller

        /// - Parameter deadline: on the shop's monotonic clock, in milliseconds.
        public init(request: ShopRequest, name: WriteName?, deadline: Int64, caller: any Caller) {
            self.request = request
            self.name = name
            self.deadline = deadline
            self.caller = caller
        }
    }

    private let shop: Shop
    private let store: any RecordStore
    private let clock: any ShopClock
    private var nextTick: Int64

    public init(_ shop: Shop, _ store: any RecordStore, _ clock: any ShopClock) {
        self.shop = shop
        self.store = store
        self.clock = clock
        nextTick = clock.monotonicMilliseconds
    }

    /// Whether the next turn may take requests. If not, they wait until the disk has caught up.
    public var takesRequests: Bool { store.unsyncedRecords < Limits.unsyncedRecords }

    /// Runs one turn: completions of blocking work, requests (at most `Limits.requestsPerTurn`), and what is due by
    /// time. At the end its commits go to the disk. To be called every `Limits.tickMilliseconds` at least.
    public mutating func run(_ requests: [Arrival], finished: [() -> Void]) {
        for completion in finished { completion() }
        for arrival in requests {
            shop.handle(arrival.request, name: arrival.name, deadline: arrival.deadline, caller: arrival.caller)
        }
        let now = clock.monotonicMilliseconds
        if now >= nextTick {
            nextTick = now + Limits.tickMilliseconds
            shop.tick()
            store.tick(now: now, wall: clock.wallMilliseconds)
        }
        shop.endTurn()
        store.flush()
    }
}
