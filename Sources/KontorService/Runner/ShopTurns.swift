// The turns of a shop: what its thread does each time it wakes, and the simulator does for it.

import KontorCore

/// Runs a ``Shop`` turn by turn. All of it belongs to one serial domain.
public struct ShopTurns {
    /// A request that was taken.
    public struct Arrival {
        let request: ShopRequest
        let key: IdempotencyKey?
        let deadline: Int64
        let caller: any Caller

        /// - Parameter deadline: on the shop's monotonic clock, in milliseconds.
        public init(request: ShopRequest, key: IdempotencyKey?, deadline: Int64, caller: any Caller) {
            self.request = request
            self.key = key
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

    /// Whether the next turn may have requests; if not, they wait until the disk has caught up.
    public var takesRequests: Bool { store.unsyncedRecords < Limits.unsyncedRecords }

    /// One turn: completions of blocking work, requests (at most `Limits.requestsPerTurn`), what is due by time, and at its end
    /// what was committed goes to the disk. To be called every `Limits.tickMilliseconds` at least.
    public mutating func run(_ requests: [Arrival], finished: [() -> Void]) {
        for completion in finished { completion() }
        for arrival in requests {
            shop.handle(arrival.request, key: arrival.key, deadline: arrival.deadline, caller: arrival.caller)
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
