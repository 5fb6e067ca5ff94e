import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@Suite("Recovery")
struct RecoveryTests {
    @Test("killed at any moment, every checkout reaches its end, and every answer stays true", arguments: 1...150)
    func crashes(seed: UInt64) {
        let world = World(seed: seed)
        for item in 0..<3 { world.item("i\(item)", stock: Int64(world.random.below(8))) }
        for user in 0..<6 { world.user("u\(user)", credit: Int64(100 * world.random.below(5))) }
        let orders = (0..<16).map { _ in
            world.order(
                "u\(world.random.below(6))",
                (0...world.random.below(3)).map { _ in "i\(world.random.below(3))" })
        }
        world.store.unknownPercent = seed % 2 == 0 ? 10 : 0
        var asked: [(order: Identifier, caller: Request)] = []
        for _ in 0..<4 {
            for _ in 0..<10 {
                let order = orders[world.random.below(orders.count)]
                asked.append((order, world.ask(.checkout(order: order))))
                for _ in 0..<world.random.below(12) { world.step() }
            }
            world.crashAndRecover()
        }
        world.store.unknownPercent = 0
        world.crashAndRecover()
        world.settle()
        for (order, caller) in asked where caller.isPaid { #expect(world.status(order) == .paid) }
        world.expectClean()
    }

    @Test("an undecided checkout that is found after its deadline is undone")
    func undecidedPastDeadline() {
        let world = World(seed: 1)
        world.item("a", stock: 1)
        world.user("u", credit: 100)
        let order = world.order("u", ["a"])
        let saga = SagaID(order: id("other"), incarnation: 1, attempt: 1)
        world.run(.ledger(LedgerCommand(GroupKey(.item, id("a")), .hold(saga, Amount(1), mayWait: false))))
        world.ask(.checkout(order: order))
        for _ in 0..<60 { world.step() }
        #expect(world.shop.openSagas == 1)
        world.clock.monotonicMilliseconds += 60_000
        world.crashAndRecover()
        world.settle()
        #expect(world.status(order) == .open)
    }

    @Test("a hold whose saga is nowhere is released, one that its order paid is captured")
    func orphans() {
        let world = World(seed: 1)
        world.item("a", stock: 5)
        world.user("u", credit: 100)
        let orphan = SagaID(order: id("gone"), incarnation: 1, attempt: 1)
        world.run(.ledger(LedgerCommand(GroupKey(.item, id("a")), .hold(orphan, Amount(2), mayWait: false))))
        world.crashAndRecover()
        world.settle()
        #expect(world.account(.item, "a")?.held == .zero)
        #expect(world.account(.item, "a")?.balance == Amount(5))
        world.expectClean()
    }

    @Test("a shop that starts on a full disk can be read, and ends what was left once there is room")
    func fullDisk() {
        let world = World(seed: 1)
        world.user("u", credit: 100)
        let order = world.order("u", [])
        let lock = LedgerCommand(GroupKey(.user, id("u")), .lockPayment(order: order, Amount(60), expiry: .max))
        #expect(world.run(.ledger(lock)) != nil)
        world.store.refusal = .diskFull
        world.crashAndRecover()
        #expect(world.account(.user, "u")?.held == Amount(60))
        world.store.refusal = nil
        world.pass(Limits.tickMilliseconds)
        world.settle()
        #expect(world.account(.user, "u")?.held == .zero)
        world.expectClean()
    }

    @Test("a lock whose order cannot be read is asked for again until it can, and no request is taken before")
    func unreadableOrder() {
        let world = World(seed: 1)
        world.item("a", stock: 5)
        let orphan = SagaID(order: id("gone"), incarnation: 1, attempt: 1)
        world.run(.ledger(LedgerCommand(GroupKey(.item, id("a")), .hold(orphan, Amount(2), mayWait: false))))
        world.store.failingLoads = 7
        world.crashAndRecover()
        #expect(world.store.failingLoads == 0)
        #expect(world.events.alarms.count == 1, "said once")
        world.settle()
        #expect(world.account(.item, "a")?.held == .zero)
    }
}

@Suite("batch_init")
struct BatchInitTests {
    @Test("it replaces what was there, and the books still balance")
    func replaces() {
        let world = World(seed: 1)
        for _ in 0..<2 {
            #expect(world.run(.initItems(count: 1_200, stock: Amount(500), price: Amount(100))) == .initialized)
            #expect(world.run(.initUsers(count: 300, credit: Amount(1_000_000))) == .initialized)
            #expect(world.run(.initOrders(count: 1_100, items: 10, users: 300, price: Amount(100))) == .initialized)
            for number in 0..<200 { world.run(.checkout(order: Identifier(number: number * 5))) }
            #expect(world.audit().paidOrders >= 200)
            world.expectClean()
        }
    }

    @Test("it is refused while one of its records has an open saga, and changes nothing")
    func refused() {
        let world = World(seed: 2)
        world.run(.initItems(count: 10, stock: Amount(5), price: Amount(100)))
        let saga = SagaID(order: id("x"), incarnation: 1, attempt: 1)
        let held = GroupKey(.item, Identifier(number: 7))
        world.run(.ledger(LedgerCommand(held, .hold(saga, Amount(1), mayWait: false))))
        #expect(world.run(.initItems(count: 10, stock: Amount(9), price: Amount(1))) == .hasOpenSaga(held))
        #expect(world.account(.item, "0")?.balance == Amount(5))
        #expect(world.run(.initItems(count: 7, stock: Amount(9), price: Amount(1))) == .initialized, "item 7 is not among them")
    }

    @Test("a lock that came after the look for locks is waited for, and the shop goes on meanwhile")
    func waitsForLocks() {
        let records = MemoryStore()
        let clock = ManualClock()
        let shop = Shop(
            ShopEnvironment(store: records, clock: clock, random: SeededRandom(seed: 1), log: RecordedEvents()),
            sink: RecordingSink())
        func ask(_ request: ShopRequest) -> Request {
            let caller = Request()
            shop.handle(request, deadline: .max, caller: caller)
            return caller
        }
        let initialize = ShopRequest.initItems(count: 600, stock: Amount(5), price: Amount(100))
        _ = ask(initialize)
        shop.endTurn()
        // The first partition is looked at before the hold is decided.
        guard let number = (0..<600).first(where: { Partition.of(Identifier(number: $0)) == 0 }) else {
            Issue.record("no item lies in the first partition")
            return
        }
        let item = GroupKey(.item, Identifier(number: number))
        let saga = SagaID(order: id("x"), incarnation: 1, attempt: 1)
        let again = ask(initialize)
        _ = ask(.ledger(LedgerCommand(item, .hold(saga, Amount(1), mayWait: false))))
        shop.endTurn()
        #expect(again.answers.isEmpty)
        #expect(ask(initialize).answers.isEmpty)
        shop.endTurn()
        shop.tick()
        shop.endTurn()
        #expect(again.answers.isEmpty)
        _ = ask(.ledger(LedgerCommand(item, .release(saga, Amount(1)))))
        shop.endTurn()
        shop.tick()
        shop.endTurn()
        #expect(again.answer == .initialized)
    }

    @Test("one at a time: a second one is refused at once")
    func oneAtATime() {
        let world = World(seed: 4)
        let first = world.ask(.initUsers(count: 1_000, credit: Amount(5)))
        let second = world.ask(.initUsers(count: 1_000, credit: Amount(5)))
        world.settle()
        #expect(first.answer == .initialized)
        #expect(second.answer == .overloaded(.batchInits))
        #expect(world.run(.initUsers(count: 10, credit: Amount(5))) == .initialized)
    }

    @Test("once a record is replaced, a failure is answered as unknown and not as a refusal")
    func noRefusalAfterEffect() {
        let world = World(seed: 5)
        let running = world.ask(.initOrders(count: 2_000, items: 10, users: 10, price: Amount(100)))
        while world.status(Identifier(number: 0)) == nil { world.step() }
        world.records.admission = .diskFull
        world.settle()
        #expect(running.answer == .unknown || running.answer == .initialized)
        #expect(world.run(.initUsers(count: 10, credit: Amount(5))) == .unavailable(.diskFull))
    }

    @Test("orders that would cost more than the bound are refused")
    func overLimit() {
        let world = World(seed: 6)
        let price = Amount(Limits.moneyHundredths)
        #expect(world.run(.initOrders(count: 1, items: 1, users: 1, price: price)) == .order(.overLimit(.cost)))
    }

    @Test("repeating one that crashed half-way completes it")
    func completes() {
        let world = World(seed: 3)
        let request = ShopRequest.initOrders(count: 2_000, items: 10, users: 10, price: Amount(100))
        world.ask(request)
        for _ in 0..<8 { world.step() }
        world.crashAndRecover()
        #expect(world.status(Identifier(number: 1_999)) == nil)
        #expect(world.run(request) == .initialized)
        #expect(world.status(Identifier(number: 1_999)) == .open)
    }
}

@Suite("Audit")
struct AuditTests {
    private func cooked(_ cook: (inout [RecordKey: Record]) -> Void) -> [AuditReport.Finding] {
        let world = World(seed: 1)
        world.item("a", stock: 5)
        world.user("u", credit: 1_000)
        world.run(.checkout(order: world.order("u", ["a"])))
        var records: [RecordKey: Record] = [:]
        world.records.forEach { records[$0] = $1 }
        cook(&records)
        return Audit.report { body in for (key, record) in records { body(key, record) } }.culprits.map(\.finding)
    }

    private let item = RecordKey(GroupKey(.item, id("a")), .head)

    @Test("honest books are clean")
    func clean() { #expect(cooked { _ in } == []) }

    @Test("a unit that is sold twice, lost or made up is found, and the account is named")
    func findings() {
        #expect(
            cooked { records in
                guard case .account(var account)? = records[item] else { return }
                account.captured += Amount(1)
                account.balance -= Amount(1)
                records[item] = .account(account)
            } == [.wrongCaptured])
        #expect(
            cooked { records in
                guard case .account(var account)? = records[item] else { return }
                account.balance += Amount(1)
                records[item] = .account(account)
            } == [.wrongBalance])
        #expect(
            cooked { records in
                let saga = SagaID(order: id("x"), incarnation: 1, attempt: 1)
                records[RecordKey(item.group, .hold(saga))] = .hold(Hold(amount: Amount(1), state: .held))
            }.contains(.lockWithoutSaga))
        #expect(
            cooked { records in
                for (key, record) in records {
                    guard case .order(var order) = record else { continue }
                    order.status = .open
                    records[key] = .order(order)
                }
            } == [.wrongCaptured, .wrongCaptured], "sold and charged, but no order was paid")
    }
}
