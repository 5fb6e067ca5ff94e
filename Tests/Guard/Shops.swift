// The shops whose instructions are counted. Nothing in them depends on time, threads or the machine's disk.

import KontorCore
import KontorEmbedded
import KontorHTTP
import KontorMetrics
import KontorService
import KontorSimulation
import NIOCore
import NIOEmbedded

/// Passes a millisecond a turn. `@unchecked Sendable`: there is one thread.
final class TurnClock: ShopClock, @unchecked Sendable {
    var monotonicMilliseconds: Int64 = 1_000
    var wallMilliseconds: Int64 { 1_700_000_000_000 + monotonicMilliseconds }
}

/// Nobody reads it.
final class NoLog: EventLog {
    func alarm(_ event: StaticString, _ details: [String: String]) {}
    func warning(_ event: StaticString, _ details: [String: String]) {}
    func notice(_ event: StaticString, _ details: [String: String]) {}
}

/// Somebody who asks without HTTP.
final class PlainCaller: Caller {}

/// Counts good answers, and hands those that go over HTTP on.
final class CountingSink: AnswerSink {
    private let http = HTTPAnswerSink()
    /// Answers do not come from requests of this program, but over connections.
    var isHTTP = false
    private(set) var good = 0

    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        if isHTTP { return http.deliver(answers) }
        for entry in answers where entry.answer == .initialized || entry.answer == .checkout(.paid) { good += 1 }
    }
}

/// Turns until something has happened; what never happens is found out by the count of good answers.
func attempt(_ turn: () throws -> Void, until hasHappened: () -> Bool) rethrows {
    var attempts = 0
    while !hasHappened(), attempts < 10_000 {
        try turn()
        attempts += 1
    }
}

/// What all shops are filled with: items, users, orders.
let filling: [ShopRequest] = [
    .initItems(count: Goods.items, stock: Amount(1_000_000), price: Amount(100)),
    .initUsers(count: Goods.users, credit: Amount(1_000_000_000)),
    .initOrders(count: Goods.orders, items: Goods.items, users: Goods.users, price: Amount(100)),
]

/// Rules, saga and engine over a store in memory: what a checkout costs without HTTP and without a journal.
final class SagaShop {
    private let clock = TurnClock()
    private let sink = CountingSink()
    private let shop: Shop

    init() {
        let environment = ShopEnvironment(
            store: MemoryStore(), clock: clock, random: SeededRandom(seed: 1), log: NoLog(),
            metrics: ShopMetrics(factory: MetricsRegistry([])))
        shop = Shop(environment, sink: sink)
        for (index, request) in filling.enumerated() {
            ask(request)
            attempt({ turn() }, until: { sink.good > index })
        }
    }

    private func ask(_ request: ShopRequest) {
        shop.handle(request, deadline: clock.monotonicMilliseconds + 5_000, caller: PlainCaller())
    }

    private func turn() {
        clock.monotonicMilliseconds += 1
        if clock.monotonicMilliseconds % Limits.tickMilliseconds == 0 { shop.tick() }
        shop.endTurn()
    }

    /// - Returns: how many were paid.
    func run(_ count: Int) -> Int {
        let before = sink.good
        for first in stride(from: 0, to: count, by: Goods.atOnce) {
            for number in first..<(first + Goods.atOnce) { ask(.checkout(order: Identifier(number: number))) }
            turn()
        }
        return sink.good - before
    }
}

/// All that an embedded shop is, but for sockets, threads and the disk.
final class WholeShop {
    private let clock: TurnClock
    private let sink = CountingSink()
    private let lanes = StepLanes()
    private let port = TurnPort()
    private let eventLoop = EmbeddedEventLoop()
    private let shop: Shop
    private var turns: ShopTurns
    private var connections: [(channel: EmbeddedChannel, socket: CountingSocket)] = []

    /// - Parameter access: who may ask for what.
    init(access: AccessControl = AccessControl(hosts: AllowedHosts())) throws {
        let clock = TurnClock()
        self.clock = clock
        let metrics = MetricsRegistry([])
        let store = try EmbeddedStore.open(
            "/data", lanes: lanes, random: SeededRandom(seed: 2), files: MemoryDisk(), tables: SimulatedTable().opener,
            metrics: StoreMetrics(factory: metrics))
        let environment = ShopEnvironment(
            store: store, clock: clock, random: SeededRandom(seed: 1), log: NoLog(), metrics: ShopMetrics(factory: metrics))
        shop = Shop(environment, sink: sink)
        turns = ShopTurns(shop, store, clock)
        shop.recover { _ in }
        turn()
        for (index, request) in filling.enumerated() {
            turn([arrival(request)])
            attempt({ turn() }, until: { sink.good > index })
        }
        sink.isHTTP = true
        let service = HTTPService(
            shop: port, access: access, isReady: { true }, monotonicMilliseconds: { clock.monotonicMilliseconds },
            metrics: HTTPMetrics(factory: metrics, listener: "public"))
        let pipeline = HTTPPipeline(service, on: eventLoop)
        for _ in 0..<Goods.atOnce { connections.append(try connection(pipeline)) }
    }

    private func connection(_ pipeline: HTTPPipeline) throws -> (channel: EmbeddedChannel, socket: CountingSocket) {
        let channel = EmbeddedChannel(loop: eventLoop)
        let socket = CountingSocket()
        try channel.pipeline.syncOperations.addHandler(socket)
        try pipeline.addHandlers(to: channel)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        return (channel, socket)
    }

    private func arrival(_ request: ShopRequest) -> ShopTurns.Arrival {
        ShopTurns.Arrival(request: request, name: nil, deadline: .max, caller: PlainCaller())
    }

    /// The shop's thread wakes once, and then the journal's.
    private func turn(_ arrivals: [ShopTurns.Arrival] = []) {
        clock.monotonicMilliseconds += 1
        turns.run(arrivals, finished: lanes.takeFinished())
        lanes.work()
    }

    /// - Returns: how many were answered with 200.
    func run(_ count: Int, request: (Int) -> String) throws -> Int {
        // All that there could be, whatever the count: what they are made of is not counted then.
        let requests = (0..<Goods.orders).map { ByteBuffer(string: request($0)) }
        for first in stride(from: 0, to: count, by: Goods.atOnce) {
            for (place, connection) in connections.enumerated() {
                try connection.channel.writeInbound(requests[first + place])
            }
            eventLoop.run()
            turn(port.take())
            let wanted = first / Goods.atOnce + 1
            let wakeAll = {
                self.turn()
                self.eventLoop.run()
            }
            attempt(wakeAll, until: { connections.allSatisfy { $0.socket.answers == wanted } })
        }
        return connections.reduce(0) { $0 + $1.socket.good }
    }
}
