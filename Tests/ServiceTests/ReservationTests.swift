// Reservations through the whole shop, alone with its store and killed at every step.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

extension World {
    /// Lets the look for reservations that are over happen, and all that follows.
    fileprivate func look() {
        for _ in 0..<4 {
            pass(Limits.reservationScanMilliseconds)
            settle()
        }
    }
}

@Suite("Reservations in a shop that is alone")
struct ReservationTests {
    private let world = World(seed: 1)

    private func order(_ items: [String] = ["a", "a", "b"], credit: Int64 = 1_000, in world: World? = nil) -> Identifier {
        let world = world ?? self.world
        world.item("a", stock: 3)
        world.item("b", stock: 3)
        world.user("u", credit: credit)
        return world.order("u", items)
    }

    private func reserve(_ order: Identifier, _ seconds: Int64 = 10, in world: World? = nil) -> ShopAnswer? {
        (world ?? self.world).run(.reserve(order: order, seconds: seconds))
    }

    @Test("what is reserved is there for its order alone, and is bought by its checkout")
    func buy() {
        let mine = order()
        #expect(reserve(mine) == .checkout(.reserved))
        #expect(world.status(mine) == .reserved)
        #expect(world.account(.item, "a")?.reserved == Amount(2) && world.account(.item, "a")?.available == Amount(1))
        let other = world.order("u", ["a", "a"])
        let until = world.clock.wallMilliseconds / 1_000 * 1_000 + 10_000
        let refused = CheckoutResult.refused(.reserved(account: GroupKey(.item, id("a")), until: until))
        #expect(world.run(.checkout(order: other)) == .checkout(refused))
        #expect(world.run(.checkout(order: mine)) == .checkout(.paid))
        #expect(world.run(.checkout(order: mine)) == .checkout(.paid))
        #expect(world.account(.user, "u")?.balance == Amount(700) && world.account(.item, "a")?.balance == Amount(1))
        world.look()
        world.expectClean()
    }

    @Test("nobody waits for what is reserved, and nobody keeps another item locked meanwhile")
    func crowd() {
        let mine = order()
        #expect(reserve(mine) == .checkout(.reserved))
        let began = world.clock.monotonicMilliseconds
        let crowd = (0..<20).map { _ in world.order("u", ["a", "a", "b"]) }.map { world.ask(.checkout(order: $0)) }
        world.settle()
        #expect(world.clock.monotonicMilliseconds == began, "all are refused without a pause")
        for caller in crowd {
            guard case .checkout(.refused(.reserved)) = caller.answer else {
                Issue.record("\(String(describing: caller.answer))")
                return
            }
        }
        #expect(world.account(.item, "b")?.held == .zero)
        #expect(world.run(.checkout(order: mine)) == .checkout(.paid))
        world.expectClean()
    }

    @Test("it is given back on demand, and once; then it is there for others")
    func giveBack() {
        let mine = order()
        #expect(world.run(.giveBack(order: mine)) == .checkout(.givenBack), "nothing is held")
        #expect(reserve(mine) == .checkout(.reserved))
        #expect(world.run(.giveBack(order: mine)) == .checkout(.givenBack))
        #expect(world.run(.giveBack(order: mine)) == .checkout(.givenBack))
        #expect(world.status(mine) == .open)
        #expect(world.account(.item, "a")?.available == Amount(3))
        world.look()
        world.expectClean()
        #expect(world.run(.checkout(order: mine)) == .checkout(.paid))
        #expect(world.run(.giveBack(order: mine)) == .checkout(.notBegun(.alreadyPaid)))
        world.expectClean()
    }

    @Test("at its end it is given back, not before, and extended it is given back later")
    func expiry() {
        let mine = order()
        #expect(reserve(mine, 10) == .checkout(.reserved))
        world.pass(8_000)
        world.look()
        #expect(world.status(mine) == .reserved)
        #expect(reserve(mine, 10) == .checkout(.reserved), "extended")
        #expect(reserve(mine, 1) == .checkout(.reserved), "not shortened")
        world.pass(8_000)
        world.look()
        #expect(world.status(mine) == .reserved)
        world.pass(1_000)
        world.look()
        #expect(world.status(mine) == .open)
        #expect(world.account(.item, "a")?.available == Amount(3))
        world.expectClean()
    }

    @Test("refused for credit the reservation stands, and is bought when credit was added")
    func credit() {
        let mine = order(credit: 100)
        #expect(reserve(mine) == .checkout(.reserved))
        let missing = AbortReason.insufficient(account: GroupKey(.user, id("u")), wanted: Amount(300), left: Amount(100))
        for _ in 0..<3 { #expect(world.run(.checkout(order: mine)) == .checkout(.refused(missing))) }
        #expect(world.status(mine) == .reserved && world.account(.item, "a")?.reserved == Amount(2))
        world.run(.ledger(LedgerCommand(GroupKey(.user, id("u")), .deposit(Amount(200)))))
        #expect(world.run(.checkout(order: mine)) == .checkout(.paid))
        world.expectClean()
    }

    @Test("an order that cannot have all it needs reserves nothing")
    func allOrNothing() {
        let mine = order(["b", "a", "a", "a", "a"])
        let missing = AbortReason.insufficient(account: GroupKey(.item, id("a")), wanted: Amount(4), left: Amount(3))
        #expect(reserve(mine) == .checkout(.refused(missing)))
        #expect(world.account(.item, "b")?.available == Amount(3) && world.status(mine) == .open)
        world.expectClean()
    }

    @Test("a key has its answer, and repeated it extends nothing")
    func keys() {
        let mine = order()
        let first = world.ask(.reserve(order: mine, seconds: 10), key: "k")
        world.settle()
        #expect(first.answer == .checkout(.reserved))
        let until = world.reservation(of: mine)?.until
        world.pass(1_000)
        let again = world.ask(.reserve(order: mine, seconds: 10), key: "k")
        let other = world.ask(.reserve(order: mine, seconds: 11), key: "k")
        world.settle()
        #expect(again.answer == .replayed(.checkout(.reserved)) && other.answer == .keyed(.usedForAnother))
        #expect(world.reservation(of: mine)?.until == until)
        let back = world.ask(.giveBack(order: mine), key: "b")
        world.settle()
        #expect(back.answer == .checkout(.givenBack))
        #expect(reserve(mine) == .checkout(.reserved))
        let repeated = world.ask(.giveBack(order: mine), key: "b")
        world.settle()
        #expect(repeated.answer == .replayed(.checkout(.givenBack)) && world.status(mine) == .reserved)
        // A key for an extension, and one for giving back where nothing is held.
        let longer = world.ask(.reserve(order: mine, seconds: 20), key: "l")
        world.settle()
        world.run(.giveBack(order: mine))
        let nothing = world.ask(.giveBack(order: mine), key: "n")
        world.settle()
        #expect(longer.answer == .checkout(.reserved) && nothing.answer == .checkout(.givenBack))
        for (key, request) in [("l", ShopRequest.reserve(order: mine, seconds: 20)), ("n", .giveBack(order: mine))] {
            let replay = world.ask(request, key: key)
            world.settle()
            guard case .replayed? = replay.answer else { Issue.record("\(key) is not kept"); return }
        }
        #expect(world.status(mine) == .open)
        world.expectClean()
    }

    @Test("somebody else's order is not there")
    func owners() {
        let mine = order()
        #expect(
            world.run(.reserve(order: mine, seconds: 1, owner: id("v"))) == .checkout(.notBegun(.unknownOrder)))
        #expect(world.run(.giveBack(order: mine, owner: id("v"))) == .checkout(.notBegun(.unknownOrder)))
        #expect(world.run(.reserve(order: mine, seconds: 1, owner: id("u"))) == .checkout(.reserved))
    }

    @Test("a reserved order is not changed or paid directly, and batch_init leaves it and its items alone")
    func locked() {
        world.item("0", stock: 10)
        world.user("0", credit: 1_000)
        let items = ShopRequest.initItems(count: 1, stock: Amount(5), price: Amount(1))
        let orders = ShopRequest.initOrders(count: 1, items: 1, users: 1, price: Amount(100))
        #expect(world.run(orders) == .initialized)
        #expect(reserve(id("0"), 600) == .checkout(.reserved))
        let until = world.reservation(of: id("0"))?.until ?? 0
        #expect(world.run(.addItem(order: id("0"), item: id("0"), units: Amount(1))) == .order(.isReserved(until: until)))
        #expect(world.run(.pay(user: id("0"), order: id("0"), Amount(1))) == .order(.isReserved(until: until)))
        #expect(world.run(orders) == .hasOpenSaga(GroupKey(.order, id("0"))))
        #expect(world.run(items) == .hasOpenSaga(GroupKey(.item, id("0"))))
        #expect(world.run(.giveBack(order: id("0"))) == .checkout(.givenBack))
        #expect(world.run(orders) == .initialized)
        #expect(world.run(items) == .initialized)
        world.expectClean()
    }

    @Test("checkout, reservation and return of one order at once come one after the other", arguments: 0..<30)
    func race(seed: Int) {
        let world = World(seed: UInt64(seed))
        let mine = order(in: world)
        let asked = (0..<9).map { number in
            let request: ShopRequest =
                switch number % 3 {
                case 0: .reserve(order: mine, seconds: 5)
                case 1: .giveBack(order: mine)
                default: number == 8 ? .checkout(order: mine) : .reserve(order: mine, seconds: 7)
                }
            for _ in 0..<(seed % 5) { world.step() }
            return world.ask(request, key: number % 2 == 0 ? "k\(number)" : nil)
        }
        world.settle()
        for caller in asked { #expect(caller.answer != nil && caller.answer != .unknown) }
        #expect(asked[8].answer == .checkout(.paid) && world.status(mine) == .paid)
        #expect(world.account(.user, "u")?.balance == Amount(700) && world.account(.item, "a")?.balance == Amount(1))
        world.look()
        world.expectClean()
    }

    @Test("a shop that is killed at any step still has the reservation or nothing, and its end comes", arguments: 0..<60)
    func kills(step: Int) {
        let world = World(seed: UInt64(100 + step))
        let mine = order(in: world)
        world.ask(.reserve(order: mine, seconds: 1))
        for _ in 0..<step { world.step() }
        world.crashAndRecover()
        world.settle()
        #expect(world.status(mine) == .reserved || world.status(mine) == .open)
        world.pass(1_500)
        world.look()
        #expect(world.status(mine) == .open)
        #expect(world.account(.item, "a")?.available == Amount(3))
        world.expectClean()
    }

    @Test("a shop that is killed while a reservation is bought or given back ends it", arguments: 0..<80)
    func killsAtTheEnd(step: Int) {
        let world = World(seed: UInt64(300 + step))
        let mine = order(in: world)
        #expect(reserve(mine, 60, in: world) == .checkout(.reserved))
        let isBought = step % 2 == 0
        world.ask(isBought ? .checkout(order: mine) : .giveBack(order: mine))
        for _ in 0..<(step / 2) { world.step() }
        world.crashAndRecover()
        world.settle()
        #expect([.reserved, isBought ? .paid : .open].contains(world.status(mine)))
        #expect(world.run(isBought ? .checkout(order: mine) : .giveBack(order: mine)) != .unknown)
        #expect(world.status(mine) == (isBought ? .paid : .open))
        world.expectClean()
    }

    @Test("many that are over at once are all given back, also those behind the first page")
    func many() {
        world.item("a", stock: 1_000)
        world.user("u", credit: 1_000)
        let orders = (0..<(Limits.reservationsAtOnce + 50)).map { _ in world.order("u", ["a"]) }
        for order in orders { #expect(reserve(order, 600) == .checkout(.reserved)) }
        #expect(world.account(.item, "a")?.reserved == Amount(Int64(orders.count)))
        world.pass(601_000)
        world.look()
        #expect(world.account(.item, "a")?.available == Amount(1_000))
        world.expectClean()
    }

    @Test("explained it says until when, and after its end why it is open")
    func explained() {
        let mine = order(credit: 100)
        #expect(reserve(mine) == .checkout(.reserved))
        func explain() -> Explanation? {
            if case .explanation(let explanation)? = world.run(.explain(order: mine)) { explanation } else { nil }
        }
        let reserved = explain()
        #expect(reserved?.order.reservedUntil == world.reservation(of: mine)?.until)
        guard case .reserve? = reserved?.attempts.last?.decision else { Issue.record("not reserved"); return }
        #expect(reserved?.obstacles.count == 1, "the stock is there, the credit is not")
        world.pass(11_000)
        world.look()
        #expect(explain()?.attempts.last?.decision == .abort(.reservationEnded(isExpired: true)))
    }

    @Test("the audit names what reservations do not explain")
    func audit() {
        let mine = order()
        #expect(reserve(mine) == .checkout(.reserved))
        #expect(world.audit().isClean && world.audit().reservations == 1)
        func findings(_ change: (inout [RecordKey: Record]) -> Void) -> Set<AuditReport.Finding> {
            var records: [RecordKey: Record] = [:]
            world.records.forEach { records[$0] = $1 }
            change(&records)
            return Set(
                Audit.report(hasLists: true) { body in records.forEach { body($0.key, $0.value) } }.culprits.map(\.finding))
        }
        let (head, item) = (RecordKey(GroupKey(.order, mine), .head), RecordKey(GroupKey(.item, id("a")), .head))
        func holds(_ records: [RecordKey: Record]) -> [RecordKey] {
            records.keys.filter { if case .hold = $0.member { $0.group == item.group } else { false } }
        }
        #expect(findings { for key in holds($0) { $0[key] = nil } } == [.wrongHeld, .wrongReservation])
        #expect(
            findings {
                guard case .account(var account)? = $0[item] else { return }
                (account.held, account.reserved) = (account.reserved, .zero)
                $0[item] = .account(account)
            } == [.wrongHeld])
        #expect(
            findings {
                guard case .order(var order)? = $0[head] else { return }
                (order.status, order.reservation) = (.open, nil)
                $0[head] = .order(order)
            } == [.lockWithoutSaga, .wrongReservation])
        #expect(
            findings { records in
                for key in records.keys { if case .due = key.member { records[key] = nil } }
            } == [.wrongReservation])
    }

    @Test("a repetition joins the first one, though nothing may begin any more", arguments: [true, false])
    func repetition(isReservation: Bool) {
        let mine = order()
        if !isReservation { #expect(reserve(mine) == .checkout(.reserved)) }
        let request: ShopRequest = isReservation ? .reserve(order: mine, seconds: 10) : .giveBack(order: mine)
        let first = world.ask(request, key: "k")
        for _ in 0..<1_000 where world.shop.openSagas == 0 { world.step() }
        #expect(world.shop.openSagas == 1)
        world.records.admission = .diskFull
        let second = world.ask(request, key: "k")
        world.settle()
        let done = ShopAnswer.checkout(isReservation ? .reserved : .givenBack)
        #expect(first.answer == done)
        #expect(second.answer == done || second.answer == .replayed(done))
    }

    @Test(
        "a repeated wish to give back waits for the first one, and gives back nothing that was reserved since",
        arguments: 1...20)
    func repeatedGiveBack(seed: UInt64) {
        let world = World(seed: seed)
        let mine = order(in: world)
        #expect(reserve(mine, in: world) == .checkout(.reserved))
        let first = world.ask(.giveBack(order: mine), key: "k")
        for _ in 0..<1_000 where world.shop.openSagas == 0 { world.step() }
        let others = world.ask(.reserve(order: mine, seconds: 20))
        let again = world.ask(.giveBack(order: mine), key: "k")
        world.settle()
        #expect(first.answer == .checkout(.givenBack) && others.answer == .checkout(.reserved))
        #expect(again.answer == .replayed(.checkout(.givenBack)))
        #expect(world.status(mine) == .reserved)
    }

    @Test("a repeated wish to give back is answered, though a checkout of the order is on its way", arguments: 1...20)
    func repeatedGiveBackBesideCheckout(seed: UInt64) {
        let world = World(seed: seed)
        let mine = order(in: world)
        let giveBack = world.ask(.giveBack(order: mine), key: "k")
        world.settle()
        let checkout = world.ask(.checkout(order: mine))
        for _ in 0..<(seed * 4) { world.step() }
        let again = world.ask(.giveBack(order: mine), key: "k")
        world.settle()
        #expect(giveBack.answer == .checkout(.givenBack) && checkout.answer == .checkout(.paid))
        #expect(again.answer == .replayed(.checkout(.givenBack)))
    }

    @Test("at the bound of what may be reserved no more is, and all else goes on")
    func bound() {
        let mine = order()
        #expect(reserve(mine) == .checkout(.reserved))
        world.records.openWorkRecords = Limits.reservedItems
        let other = world.order("u", ["b"])
        #expect(reserve(other) == .overloaded(.reservedItems))
        #expect(world.run(.checkout(order: other)) == .checkout(.paid))
        #expect(world.run(.giveBack(order: mine)) == .checkout(.givenBack))
        world.records.openWorkRecords = Limits.reservedItems - 1
        #expect(reserve(mine) == .checkout(.reserved))
    }
}

extension World {
    /// The reservation of an order, as its record has it.
    fileprivate func reservation(of order: Identifier) -> Reservation? {
        if case .order(let head)? = records.load(ReadSet(GroupKey(.order, order))).head { head.reservation } else { nil }
    }
}
