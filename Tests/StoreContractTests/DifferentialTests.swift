// The same long story, told to a shop over each store: all of them must answer the same and end with the same records.

import KontorCore
import KontorEmbedded
import KontorService
import KontorSimulation
import RedisSupport
import TestSupport
import Testing

@Suite("Shops over different stores")
struct DifferentialTests {
    @Test(
        "give the same answers and have the same records in the end",
        arguments: [1, 2] as [UInt64])
    func areTheSame(seed: UInt64) throws {
        let shops = try StoreKind.allCases.map { try ShopOverStore($0) }
        let reference = shops[0]
        let story = Story(seed: seed)
        for number in 0..<600 {
            let (request, key) = story.next(reference.created)
            let expected = try reference.ask(request, key)
            for shop in shops.dropFirst() {
                let answer = try shop.ask(request, key)
                guard answer.withoutHistory == expected.withoutHistory else {
                    Issue.record("\(shop.kind), step \(number), \(request): \(answer), and not \(expected)")
                    return
                }
            }
        }
        for shop in shops { #expect(shop.events.alarms == [], "\(shop.kind)") }
        let keys = reference.recordKeys
        #expect(keys.count > 100)
        let expected = try reference.records(keys)
        for shop in shops.dropFirst() {
            let found = try shop.records(keys)
            for (key, (left, right)) in zip(keys, zip(expected, found)) where left?.withoutHistory != right?.withoutHistory {
                Issue.record("\(shop.kind), \(key): \(String(describing: right)), and not \(String(describing: left))")
            }
            for kind in GroupKey.Kind.allCases {
                let (left, right) = (try reference.listed(kind), try shop.listed(kind))
                #expect(left == right && !left.isEmpty, "\(shop.kind)")
            }
            // Marks of finished checkouts are forgotten behind everything else.
            var open: [RecordKey] = []
            for _ in 0..<100 {
                open = try shop.under.scanAll().map(\.key)
                if open.isEmpty { break }
            }
            #expect(open.isEmpty, "\(shop.kind) has open work: \(open)")
        }
    }
}

// A cluster replies by its parts, so a checkout that is refused may not know yet what its other legs were told.

extension Record {
    fileprivate var withoutHistory: Record {
        guard case .order(var order) = self else { return self }
        order.history = History()
        return .order(order)
    }
}

extension ShopAnswer {
    fileprivate var withoutHistory: ShopAnswer {
        guard case .explanation(let explanation) = self else { return self }
        var order = explanation.order
        order.history = History()
        return .order(.order(order))
    }
}

extension SeededRandom {
    fileprivate func isOneOf(_ count: Int) -> Bool { below(count) == 0 }
}

/// Random requests over few names, so that they meet.
private final class Story {
    private let random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    func next(_ orders: [Identifier]) -> (ShopRequest, IdempotencyKey?) {
        let request = request(orders)
        let key = random.isOneOf(3) ? IdempotencyKey("key-\(random.below(60))") : nil
        return (request, request.isRead ? nil : key)
    }

    private func request(_ orders: [Identifier]) -> ShopRequest {
        let order =
            orders.isEmpty || random.isOneOf(5) ? Identifier(number: random.below(8)) : orders[random.below(orders.count)]
        let item = Identifier(number: random.below(6))
        let user = Identifier(number: random.below(5))
        let amount = Amount(Int64(1 + random.below(400)))
        switch random.below(20) {
        case 0: return .initItems(count: 5, stock: amount, price: Amount(Int64(random.below(50))))
        case 1: return .initUsers(count: 4, credit: Amount(10_000))
        case 2: return .initOrders(count: 6, items: 5, users: 4, price: Amount(20))
        case 3: return .ledger(LedgerCommand(GroupKey(.item, item), .deposit(amount)))
        case 4: return .ledger(LedgerCommand(GroupKey(.item, item), .withdraw(amount)))
        case 5: return .pay(user: user, order: order, amount)
        case 6: return .cancelPayment(user: user, order: order)
        case 7: return .paymentStatus(user: user, order: order)
        case 8, 9: return .createOrder(user: user)
        case 10, 11, 12: return .addItem(order: order, item: item, units: Amount(Int64(1 + random.below(3))))
        case 13: return .order(OrderCommand(order, .removeItem(item)))
        case 14: return .order(OrderCommand(order, random.isOneOf(5) ? .remove : .read))
        case 15: return .explain(order: order)
        default: return .checkout(order: order)
        }
    }
}

/// A shop that is alone over one store.
private final class ShopOverStore {
    let kind: StoreKind
    let under: StoreUnderTest
    let events = RecordedEvents()
    private(set) var created: [Identifier] = []
    private var shop: Shop?

    init(_ kind: StoreKind) throws {
        self.kind = kind
        under = try StoreUnderTest(kind)
        shop = try under.call { [events] store, done in
            let environment = ShopEnvironment(
                store: store, clock: ManualClock(), random: SeededRandom(seed: 5), log: events)
            done(Shop(environment, sink: Sink()))
        }
        under.didComplete = { [unowned self] in shop?.endTurn() }
    }

    func ask(_ request: ShopRequest, _ key: IdempotencyKey?) throws -> ShopAnswer {
        let answer: ShopAnswer = try under.call { [shop] _, done in
            shop?.handle(request, name: WriteName(key: key), deadline: 5_000, caller: Asker(done))
            shop?.endTurn()
        }
        if case .created(let id) = answer, case .createOrder = request { created.append(id) }
        try waitForEnd()
        return answer
    }

    /// A checkout finishes behind its answer.
    private func waitForEnd() throws {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            if try under.call({ [shop] _, done in done(shop?.openSagas == 0) }) { return }
        }
        Issue.record("\(kind): a checkout does not end")
    }

    /// Of the store in memory.
    var recordKeys: [RecordKey] {
        var keys: [RecordKey] = []
        (under.store as? MemoryStore)?.forEach { key, _ in if !key.member.isIndexed { keys.append(key) } }
        return keys
    }

    func listed(_ kind: GroupKey.Kind) throws -> [RecordKey] {
        try under.call { store, done in store.scan(.list(of: kind, behind: nil), atMost: 10_000, completion: done) }.get()
            .entries.map(\.key)
    }

    func records(_ keys: [RecordKey]) throws -> [Record?] {
        let readSets = keys.map { ReadSet($0.group, $0.member == .head ? nil : $0.member) }
        return zip(keys, try under.load(readSets)).map { key, group in key.member == .head ? group.head : group.member }
    }
}

/// `@unchecked Sendable`: a test waits for it.
private final class Asker: Caller, @unchecked Sendable {
    let answer: (ShopAnswer) -> Void
    init(_ answer: @escaping (ShopAnswer) -> Void) { self.answer = answer }
}

private final class Sink: AnswerSink {
    func deliver(_ answers: [(caller: any Caller, answer: ShopAnswer)]) {
        for (caller, answer) in answers { (caller as? Asker)?.answer(answer) }
    }
}
