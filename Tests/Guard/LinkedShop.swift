// One of several services, as its process has it: a shop over a store in memory, one turn at the end of each round of
// the event loop.
//
// It stands for ShopRunner on an event loop.

import KontorCore
import KontorLink
import KontorMetrics
import KontorService
import KontorSimulation
import NIOCore
import NIOEmbedded

/// A service for orders, items or users.
final class LinkedShop: MessageReceiver {
    private let eventLoop: EmbeddedEventLoop
    private let clock: TurnClock
    let links = ServiceLinks()
    private let shop: Shop
    private var isTurnDue = false
    private var nextTick: Int64 = 0

    init(_ kind: GroupKey.Kind, on eventLoop: EmbeddedEventLoop, clock: TurnClock, sink: CountingSink) {
        self.eventLoop = eventLoop
        self.clock = clock
        let environment = ShopEnvironment(
            store: MemoryStore(), clock: clock, random: SeededRandom(seed: 1), log: NoLog(),
            metrics: ShopMetrics(factory: MetricsRegistry([])))
        shop = Shop(environment, sink: sink, deployment: .oneOfSeveral(serving: [kind], over: links))
    }

    func ask(_ request: ShopRequest) {
        shop.handle(request, deadline: clock.monotonicMilliseconds + 5_000, caller: PlainCaller())
        wake()
    }

    func receive(_ messages: [Message]) {
        shop.receive(messages)
        wake()
    }

    /// A turn at the end of this round of the event loop, with all that has come in it.
    func wake() {
        guard !isTurnDue else { return }
        isTurnDue = true
        eventLoop.assumeIsolated().execute { self.turn() }
    }

    private func turn() {
        isTurnDue = false
        if clock.monotonicMilliseconds >= nextTick {
            nextTick = clock.monotonicMilliseconds + Limits.tickMilliseconds
            shop.tick()
        }
        shop.endTurn()
    }
}
