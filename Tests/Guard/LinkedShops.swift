// What is counted of the services: checkouts that cross links, and the ledger's half of that alone.

import KontorCore
import KontorLink
import KontorService
import KontorSimulation
import NIOEmbedded

/// The event loop that services share, and the cables between them. Its time stands still: no timer of a link ever
/// fires.
final class LinkedWorld {
    let clock = TurnClock()
    let sink = CountingSink()
    private let eventLoop = EmbeddedEventLoop()
    private var cables: [Cable] = []

    func shop(_ kind: GroupKey.Kind) -> LinkedShop { LinkedShop(kind, on: eventLoop, clock: clock, sink: sink) }

    /// An open link to a service, from whoever takes its replies.
    func link(to shop: LinkedShop, from receiver: any MessageReceiver) throws -> LinkClient {
        let secrets = try SharedSecrets("a secret of the guard's")
        let server = LinkServer(secrets: secrets, epoch: { "1" }, receiver: shop, on: eventLoop) { _, _ in }
        shop.links.server = server
        let cable = Cable(to: server, on: eventLoop)
        cables.append(cable)
        let service = LinkClient.Service(name: "", urls: [LinkURL(host: "127.0.0.1", port: 1)], secrets: secrets, epoch: "1")
        let link = LinkClient(
            service, on: eventLoop, random: SeededRandom(seed: 1), receiver: receiver, dialer: cable
        ) { _, _ in }
        link.start()
        try settle()
        return link
    }

    /// Fills a shop.
    func fill(_ shop: LinkedShop, _ request: ShopRequest) throws {
        let wanted = sink.good + 1
        shop.ask(request)
        let turn = {
            shop.wake()
            try self.settle()
        }
        try attempt(turn, until: { sink.good == wanted })
    }

    /// Rounds of the event loop, a millisecond each, until nothing is under way.
    func settle() throws {
        var isUnderWay = true
        while isUnderWay {
            clock.monotonicMilliseconds += 1
            eventLoop.run()
            isUnderWay = false
            for cable in cables where try cable.carry() { isUnderWay = true }
        }
    }
}

/// Order, Stock and Payment: a checkout begins in one, and all that it says to the others crosses links, as bytes.
final class LinkedShops {
    private let world = LinkedWorld()
    private let order: LinkedShop

    init() throws {
        let (stock, payment) = (world.shop(.item), world.shop(.user))
        order = world.shop(.order)
        order.links.clients = [
            .item: try world.link(to: stock, from: order), .user: try world.link(to: payment, from: order),
        ]
        for (shop, request) in zip([stock, payment, order], filling) { try world.fill(shop, request) }
    }

    /// - Returns: how many were paid.
    func run(_ count: Int) throws -> Int {
        let before = world.sink.good
        for first in stride(from: 0, to: count, by: Goods.atOnce) {
            for number in first..<(first + Goods.atOnce) { order.ask(.checkout(order: Identifier(number: number))) }
            try world.settle()
        }
        return world.sink.good - before
    }
}

/// Stock, and a link to it over which sagas hold one unit each, and capture it.
final class LinkedLedger: MessageReceiver {
    private let world = LinkedWorld()
    private var link: LinkClient?
    private var grants: [UInt32] = []
    private var good = 0

    init() throws {
        let stock = world.shop(.item)
        link = try world.link(to: stock, from: self)
        try world.fill(stock, filling[0])
    }

    /// - Returns: how many were held, and then captured.
    func run(_ count: Int) throws -> Int {
        for first in stride(from: 0, to: count, by: Goods.atOnce) {
            let sagas = (first..<(first + Goods.atOnce)).map { number in
                SagaID(order: Identifier(number: number), incarnation: UInt64(number + 1), attempt: 1)
            }
            grants = []
            for (place, saga) in sagas.enumerated() {
                send(.hold(saga, Amount(1), mayWait: false, expiry: deadline), .hold(mayWait: false), saga, first + place)
            }
            try world.settle()
            // Replies come in the order of their messages.
            for (place, (saga, grant)) in zip(sagas, grants).enumerated() {
                send(.capture(saga, Amount(1), grant: grant), .capture, saga, first + place)
            }
            try world.settle()
        }
        return good
    }

    func receive(_ messages: [Message]) {
        for message in messages {
            switch message.body {
            case .ledgerReply(.decided(.held(let grant))): grants.append(grant)
            case .ledgerReply(.decided(.done)): good += 1
            default: break
            }
        }
    }

    private var deadline: Int64 { world.clock.wallMilliseconds + 5_000 }

    private func send(
        _ operation: LedgerCommand.Operation, _ step: CheckoutSaga.Step, _ saga: SagaID, _ number: Int
    ) {
        let item = GroupKey(.item, Identifier(number: number % Goods.items))
        link?.send(Message(.leg(0, step, of: saga), .command(LedgerCommand(item, operation), deadline: deadline)))
    }
}
