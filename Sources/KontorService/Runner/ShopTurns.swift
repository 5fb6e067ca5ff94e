// The turns of a shop: what its thread does each time it wakes, and the simulator does for it.

import KontorCore

/// What turns need of a store besides ``RecordStore``: to know when a turn ends, and when time goes on.
public protocol TurnedStore: RecordStore {
    /// The turn is over: hand what it committed to the disk, if the disk is idle.
    func flush()
    /// Called every `Limits.tickMilliseconds` or so, with the milliseconds of both clocks.
    func tick(now: Int64, wall: Int64)
    /// Records committed and not yet durable.
    var unsyncedRecords: Int { get }
    /// Set once nothing more becomes durable: the process must end, and a restart shows what is there.
    var failure: DurabilityFailure? { get }
}

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
    private let store: any TurnedStore
    private let clock: any ShopClock
    private var nextTick: Int64

    public init(_ shop: Shop, _ store: any TurnedStore, _ clock: any ShopClock) {
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
