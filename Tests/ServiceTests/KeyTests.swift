import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

@Suite("Writes under an idempotency key")
struct KeyTests {
    private let item = GroupKey(.item, id("a"))
    private let user = GroupKey(.user, id("u"))

    /// Every kind of write, in an order in which each succeeds.
    private func writes(order: Identifier, other: Identifier) -> [ShopRequest] {
        [
            .createItem(price: Amount(100)), .createUser, .createOrder(user: id("u")),
            .ledger(LedgerCommand(item, .deposit(Amount(5)))), .ledger(LedgerCommand(item, .withdraw(Amount(1)))),
            .ledger(LedgerCommand(user, .deposit(Amount(900)))), .ledger(LedgerCommand(user, .withdraw(Amount(1)))),
            .pay(user: id("u"), order: order, Amount(7)), .cancelPayment(user: id("u"), order: order),
            .addItem(order: order, item: id("a"), units: Amount(2)), .order(OrderCommand(order, .removeItem(id("a")))),
            .checkout(order: order), .order(OrderCommand(other, .remove)),
            .initItems(count: 3, stock: Amount(4), price: Amount(100)), .initUsers(count: 3, credit: Amount(4)),
            .initOrders(count: 3, items: 2, users: 2, price: Amount(100)),
        ]
    }

    private func run(_ world: World, _ request: ShopRequest, key: String, within: Int64 = 5_000) -> ShopAnswer? {
        let caller = world.ask(request, key: key, within: within)
        for _ in 0..<10_000 where caller.answer == nil {
            if world.store.isIdle { world.pass(Limits.tickMilliseconds) } else { world.step() }
        }
        return caller.answer
    }

    private func contents(_ world: World) -> [RecordKey: Record] {
        var all: [RecordKey: Record] = [:]
        // A restart may have drawn the secret of the ids.
        world.records.forEach { if $0.group.id.text != "~ids" { all[$0] = $1 } }
        return all
    }

    private func worldWithOrders() -> (world: World, order: Identifier, other: Identifier) {
        let world = World(seed: 1)
        world.item("a", stock: 5)
        world.user("u", credit: 1_000)
        return (world, world.order("u", ["a"]), world.order("u", []))
    }

    @Test("each kind of write, repeated with its key, has one effect and gets the same answer, also after a crash")
    func replays() throws {
        let (world, order, other) = worldWithOrders()
        for (index, request) in writes(order: order, other: other).enumerated() {
            let answer = try #require(run(world, request, key: "key-\(index)"))
            world.settle()
            let before = contents(world)
            #expect(run(world, request, key: "key-\(index)") == .replayed(answer), "\(request)")
            world.crashAndRecover()
            #expect(run(world, request, key: "key-\(index)") == .replayed(answer), "\(request), after a crash")
            #expect(contents(world) == before, "\(request)")
        }
        world.expectClean()
    }

    @Test("a key that another request used is refused, whatever the request is")
    func reuse() throws {
        let (world, order, _) = worldWithOrders()
        let deposit = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(5))))
        #expect(run(world, deposit, key: "k") == .ledger(.done))
        for other in [
            ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(6)))), .ledger(LedgerCommand(item, .withdraw(Amount(5)))),
        ] {
            #expect(run(world, other, key: "k") == .keyed(.usedForAnother))
        }
        #expect(run(world, .addItem(order: order, item: id("a"), units: Amount(1)), key: "k") == .order(.done), "another scope")
        #expect(run(world, .checkout(order: order), key: "k") == .keyed(.usedForAnother))
        #expect(world.account(.item, "a")?.balance == Amount(10))
    }

    @Test("a creation derives its id from its key, for ever")
    func creation() throws {
        let world = World(seed: 1)
        world.user("u", credit: 0)
        world.user("v", credit: 0)
        guard case .created(let made)? = run(world, .createItem(price: Amount(5)), key: "k") else {
            Issue.record("no item")
            return
        }
        #expect(run(world, .createItem(price: Amount(6)), key: "k") == .keyed(.usedForAnother))
        world.clock.wallMilliseconds += Limits.keyRetentionMilliseconds + 1
        #expect(run(world, .createItem(price: Amount(5)), key: "k") == .replayed(.created(made)))
        #expect(run(world, .createItem(price: Amount(6)), key: "k") == .keyed(.usedForAnother))
        let first = run(world, .createOrder(user: id("u")), key: "k")
        world.clock.wallMilliseconds += Limits.keyRetentionMilliseconds + 1
        #expect(run(world, .createOrder(user: id("u")), key: "k") == first.map { .replayed($0) })
        guard case .created? = run(world, .createOrder(user: id("v")), key: "k") else {
            Issue.record("the user is part of the scope")
            return
        }
        #expect(run(world, .createUser, key: "k") != .created(made), "the service is part of the scope")
    }

    @Test("keys are kept for a day, whatever their names")
    func retention() {
        let world = World(seed: 1)
        world.item("a", stock: 0)
        let deposit = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(1))))
        for key in ["mine", "gw-1"] { #expect(run(world, deposit, key: key) == .ledger(.done)) }
        world.clock.wallMilliseconds += Limits.keyRetentionMilliseconds - 10_000
        for key in ["mine", "gw-1"] { #expect(run(world, deposit, key: key) == .replayed(.ledger(.done))) }
        world.clock.wallMilliseconds += 10_000
        for key in ["mine", "gw-1"] { #expect(run(world, deposit, key: key) == .ledger(.done)) }
    }

    @Test("while the first request of a key runs, its duplicate is refused, and another request too")
    func concurrent() {
        let world = World(seed: 1)
        world.item("a", stock: 0)
        let deposit = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(1))))
        let first = world.ask(deposit, key: "k")
        let duplicate = world.ask(deposit, key: "k")
        let other = world.ask(.ledger(LedgerCommand(item, .deposit(Amount(2)))), key: "k")
        let free = world.ask(deposit, key: "l")
        world.settle()
        #expect(first.answer == .ledger(.done))
        #expect(duplicate.answer == .keyed(.running))
        #expect(other.answer == .keyed(.usedForAnother))
        #expect(free.answer == .ledger(.done))
        #expect(world.account(.item, "a")?.balance == Amount(2))
    }

    @Test("checkouts under one key join, also with one that has no key", arguments: 1...10)
    func joins(seed: UInt64) {
        let world = World(seed: seed)
        world.item("a", stock: 5)
        world.user("u", credit: 1_000)
        let order = world.order("u", ["a"])
        var callers: [Request] = []
        for key in ["k", "k", nil, "k", "other"] {
            callers.append(world.ask(.checkout(order: order), key: key))
            for _ in 0..<world.random.below(6) { world.step() }
        }
        world.settle()
        #expect(callers.allSatisfy { $0.answer == .checkout(.paid) || $0.answer == .replayed(.checkout(.paid)) })
        #expect(world.account(.item, "a")?.balance == Amount(4))
        world.expectClean()
    }

    @Test("a keyed write whose outcome is not known has one effect when it is repeated", arguments: 1...60)
    func unknown(seed: UInt64) {
        let world = World(seed: seed)
        world.item("a", stock: 0)
        world.store.unknownPercent = 50
        let deposit = ShopRequest.ledger(LedgerCommand(item, .deposit(Amount(1))))
        var isDone = false
        for _ in 0..<60 where !isDone {
            switch run(world, deposit, key: "k") {
            case .ledger(.done)?, .replayed(.ledger(.done))?: isDone = true
            default: break
            }
        }
        world.store.unknownPercent = 0
        world.settle()
        #expect(isDone)
        #expect(world.account(.item, "a")?.balance == Amount(1))
    }

    @Test("while nothing may begin, a repetition is still told the truth")
    func withoutRoom() {
        let (world, order, _) = worldWithOrders()
        #expect(run(world, .checkout(order: order), key: "k") == .checkout(.paid))
        world.settle()
        world.records.admission = .diskFull
        #expect(run(world, .checkout(order: order), key: "k") == .replayed(.checkout(.paid)))
        #expect(run(world, .createUser, key: "k") == .unavailable(.diskFull))
    }

    @Test("the key of a batch_init and that of a write to its first record do not meet")
    func scopeOfBatchInit() {
        let world = World(seed: 1)
        #expect(run(world, .initItems(count: 2, stock: Amount(5), price: Amount(1)), key: "k") == .initialized)
        let deposit = ShopRequest.ledger(LedgerCommand(GroupKey(.item, id("0")), .deposit(Amount(5))))
        #expect(run(world, deposit, key: "k") == .ledger(.done))
        #expect(run(world, .initItems(count: 2, stock: Amount(5), price: Amount(1)), key: "k") == .replayed(.initialized))
        #expect(world.account(.item, "0")?.balance == Amount(10))
    }

    @Test("at the bound of kept keys new ones are refused without effect, and old ones still answer")
    func bound() {
        let records = MemoryStore()
        let clock = ManualClock()
        var policy = KeyPolicy()
        policy.keptKeys = 2
        let shop = Shop(
            ShopEnvironment(store: records, clock: clock, random: SeededRandom(seed: 1), log: RecordedEvents()),
            sink: RecordingSink(), keys: policy)
        func ask(_ key: String?, _ request: ShopRequest = .createUser, _ stamp: RequestStamp? = nil) -> ShopAnswer? {
            let caller = Request()
            let name = WriteName(key: key.flatMap { IdempotencyKey($0) }, stamp: stamp)
            shop.handle(request, name: name, deadline: 5_000, caller: caller)
            shop.endTurn()
            return caller.answer
        }
        let first = ask("1")
        _ = ask("2")
        #expect(ask("3") == .keyed(.noRoom))
        #expect(ask("1") == first.map { .replayed($0) })
        #expect(ask("4", .initItems(count: 2, stock: Amount(5), price: Amount(1))) == .keyed(.noRoom))
        #expect(
            ask(nil, .ledger(LedgerCommand(GroupKey(.item, id("0")), .read))) == .ledger(.unknownAccount), "nothing was made")
        let stamp = RequestStamp(
            request: String(repeating: "0", count: 32), sent: clock.wallMilliseconds, isRepeated: true)
        #expect(ask(nil, .checkout(order: id("o")), stamp) == .unknown, "its tombstone would be a key, too")
        #expect(records.expiringRecords == 2)
        guard case .created? = ask(nil) else {
            Issue.record("without a key nothing is refused")
            return
        }
    }
}
