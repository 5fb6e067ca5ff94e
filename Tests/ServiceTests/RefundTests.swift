// Refunds through the whole shop: alone with its store, killed at every step; and over several processes, whose
// messages are lost, doubled and late.

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

extension ShopAnswer {
    /// The refund that was made, by this request or by the one that it repeats.
    fileprivate var refund: Refund? {
        switch self {
        case .refunded(let refund), .replayed(.refunded(let refund)): refund
        default: nil
        }
    }
}

extension ShopRequest {
    fileprivate static func giveBack(_ order: Identifier, _ lines: [(String, Int64)]? = nil, restock: Bool = true) -> Self {
        .refund(
            order: order, lines: lines?.map { ItemUnits(item: id($0.0), units: Amount($0.1)) }, restock: restock,
            reason: "broken")
    }
}

@Suite("Refunds in a shop that is alone")
struct RefundTests {
    private let world = World(seed: 1)

    /// A paid order of two `a` and one `b`, at 1.00 each.
    private func paid(_ items: [String] = ["a", "a", "b"], in world: World? = nil) -> Identifier {
        let world = world ?? self.world
        world.item("a", stock: 10)
        world.item("b", stock: 10)
        world.user("u", credit: 1_000)
        let order = world.order("u", items)
        #expect(world.run(.checkout(order: order)) == .checkout(.paid))
        return order
    }

    private func balance(_ kind: GroupKey.Kind, _ name: String) -> Int64? { world.account(kind, name)?.balance.raw }

    @Test("a refund gives back what the units cost, in parts, and the rest; more is refused")
    func parts() throws {
        let order = paid()
        let first = try #require(world.run(.giveBack(order, [("a", 1)]))?.refund)
        #expect(first.amount == Amount(100) && first.reason == "broken" && first.finished != nil)
        #expect(balance(.user, "u") == 800 && balance(.item, "a") == 9)
        #expect(world.run(.checkout(order: order)) == .checkout(.paid), "a part of it is still sold")
        let rest = try #require(world.run(.giveBack(order, restock: false))?.refund)
        #expect(rest.amount == Amount(200) && rest.id.number == 2)
        #expect(balance(.user, "u") == 1_000 && balance(.item, "a") == 9 && balance(.item, "b") == 9, "not in stock again")
        #expect(world.run(.giveBack(order)) == .order(.nothingToRefund))
        #expect(world.run(.giveBack(order, [("b", 1)])) == .order(.exceedsRefundable(item: id("b"), left: .zero)))
        #expect(world.run(.checkout(order: order)) == .checkout(.notBegun(.isRefunded)))
        #expect(world.status(order) == .paid)
        #expect(world.run(.refunds(order: order)) == .refunds([first, rest]))
        guard case .explanation(let explanation)? = world.run(.explain(order: order)) else {
            Issue.record("it is not explained")
            return
        }
        #expect(explanation.refunds == [first, rest])
        world.expectClean()
        #expect(world.audit().refunds == 2)
    }

    @Test("an order that no checkout has paid is not refunded, nor somebody else's")
    func refusals() {
        let order = paid()
        #expect(
            world.run(.refund(order: order, owner: id("v"), lines: nil, restock: true, reason: "")) == .order(.unknownOrder))
        #expect(world.run(.refunds(order: order, owner: id("v"))) == .order(.unknownOrder))
        #expect(world.run(.giveBack(id("nothing"))) == .order(.unknownOrder))
        let open = world.order("u", ["a"])
        #expect(world.run(.giveBack(open)) == .order(.notPaid))
        #expect(world.run(.pay(user: id("u"), order: open, Amount(100))) == .ledger(.done))
        #expect(world.run(.giveBack(open)) == .order(.notPaid), "a direct payment is cancelled instead")
        #expect(world.run(.cancelPayment(user: id("u"), order: order)) == .paidByCheckout)
        world.expectClean()
    }

    @Test("an account that could not take it is told before anything begins")
    func fullAccount() {
        let order = paid()
        world.user("u", credit: Limits.balance)
        let user = GroupKey(.user, id("u"))
        #expect(world.run(.giveBack(order)) == .creditRefused(user, .overLimit))
        #expect(world.run(.refunds(order: order)) == .refunds([]))
        world.expectClean()
    }

    @Test("repeated under its key a refund is the same one, also while it runs; another request under the key is refused")
    func keys() throws {
        let order = paid()
        let first = world.ask(.giveBack(order, [("a", 1)]), key: "k")
        for _ in 0..<8 { world.step() }
        let joined = world.ask(.giveBack(order, [("a", 1)]), key: "k")
        world.settle()
        let refund = try #require(first.answer?.refund)
        #expect(joined.answer?.refund == refund)
        let again = world.ask(.giveBack(order, [("a", 1)]), key: "k")
        let other = world.ask(.giveBack(order), key: "k")
        world.settle()
        #expect(again.answer == .replayed(.refunded(refund)))
        #expect(other.answer == .keyed(.usedForAnother))
        #expect(balance(.user, "u") == 800)
        // After everything was refunded the key still has its answer, also when batch_init has replaced the order.
        world.run(.giveBack(order))
        let later = world.ask(.giveBack(order, [("a", 1)]), key: "k")
        world.settle()
        #expect(later.answer == .replayed(.refunded(refund)))
        world.expectClean()
    }

    @Test("a key has its answer when batch_init has replaced the order")
    func keyOfReplacedOrder() throws {
        world.item("0", stock: 10)
        world.user("0", credit: 1_000)
        #expect(world.run(.initOrders(count: 1, items: 1, users: 1, price: Amount(100))) == .initialized)
        #expect(world.run(.checkout(order: id("0"))) == .checkout(.paid))
        let first = world.ask(.giveBack(id("0")), key: "k")
        world.settle()
        let refund = try #require(first.answer?.refund)
        #expect(world.run(.initOrders(count: 1, items: 1, users: 1, price: Amount(100))) == .initialized)
        let again = world.ask(.giveBack(id("0")), key: "k")
        world.settle()
        #expect(again.answer == .replayed(.refunded(refund)))
        #expect(world.run(.refunds(order: id("0"))) == .refunds([]))
        world.expectClean()
    }

    @Test("refunds of one order at once give back what was paid, and no more")
    func several() {
        let order = paid(["a", "a", "a", "a", "b"])
        let asked = (0..<50).map { number in world.ask(.giveBack(order, [("a", 1)]), key: number % 2 == 0 ? "k\(number)" : nil)
        }
        world.settle()
        #expect(asked.count { $0.answer?.refund != nil } == 4)
        let numbers = Set(asked.compactMap { $0.answer?.refund?.id.number })
        #expect(numbers == [1, 2, 3, 4])
        #expect(balance(.user, "u") == 900 && balance(.item, "a") == 10)
        world.expectClean()
    }

    @Test("batch_init is refused while a refund is open", arguments: [GroupKey.Kind.item, .user, .order])
    func batchInit(kind: GroupKey.Kind) {
        world.item("0", stock: 10)
        world.user("0", credit: 1_000)
        #expect(world.run(.initOrders(count: 1, items: 1, users: 1, price: Amount(100))) == .initialized)
        #expect(world.run(.checkout(order: id("0"))) == .checkout(.paid))
        let refund = world.ask(.giveBack(id("0")))
        func isOpen() -> Bool {
            var found = false
            world.records.forEach { key, record in if key.group.kind == kind, record.isLock { found = true } }
            return found
        }
        for _ in 0..<10_000 where !isOpen() { world.step() }
        let request: ShopRequest =
            switch kind {
            case .item: .initItems(count: 1, stock: Amount(5), price: Amount(1))
            case .user: .initUsers(count: 1, credit: Amount(5))
            case .order: .initOrders(count: 1, items: 1, users: 1, price: Amount(100))
            }
        let answer = world.ask(request)
        world.settle()
        #expect(answer.answer == .hasOpenSaga(GroupKey(kind, id("0"))))
        #expect(refund.answer?.refund != nil)
        #expect(world.run(request) == .initialized)
        world.expectClean()
    }

    @Test("a shop that is killed at any step of a refund refunds once", arguments: 0..<40)
    func kills(step: Int) throws {
        let world = World(seed: UInt64(100 + step))
        let order = paid(in: world)
        let before = world.account(.user, "u")?.balance
        #expect(before == Amount(700))
        world.ask(.giveBack(order), key: "k")
        for _ in 0..<step { world.step() }
        world.crashAndRecover()
        world.settle()
        let again = world.ask(.giveBack(order), key: "k")
        world.settle()
        #expect(again.answer?.refund?.amount == Amount(300))
        #expect(world.account(.user, "u")?.balance == Amount(1_000))
        #expect(world.account(.item, "a")?.balance == Amount(10))
        world.expectClean()
    }

    @Test("the caller's deadline passes while a ledger does not answer, and the refund goes on")
    func deadline() {
        let order = paid()
        let asked = world.ask(.giveBack(order), key: "k", within: 1_000)
        func isBegun() -> Bool {
            if case .refund? = world.records.load(ReadSet(GroupKey(.order, order), .refund(refund(order)))).member {
                return true
            }
            return false
        }
        for _ in 0..<10_000 where !isBegun() { world.step() }
        for _ in 0..<60 { world.pass(25) }
        while !world.store.isIdle { world.step() }
        world.settle()
        #expect(asked.answer == .unknown || asked.answer?.refund != nil)
        let again = world.ask(.giveBack(order), key: "k")
        world.settle()
        #expect(again.answer?.refund?.amount == Amount(300))
        world.expectClean()
    }

    private func refund(_ order: Identifier) -> RefundID {
        guard case .order(let head)? = world.records.load(ReadSet(GroupKey(.order, order))).head else {
            return RefundID(order: order, incarnation: 0, number: 0)
        }
        return RefundID(order: order, incarnation: head.incarnation, number: 1)
    }

    @Test("the audit names what refunds do not explain")
    func audit() {
        let order = paid()
        world.run(.giveBack(order, [("a", 1)]))
        #expect(world.audit().isClean)
        func findings(_ change: (inout [RecordKey: Record]) -> Void) -> Set<AuditReport.Finding> {
            var records: [RecordKey: Record] = [:]
            world.records.forEach { records[$0] = $1 }
            change(&records)
            return Set(Audit.report { body in records.forEach { body($0.key, $0.value) } }.culprits.map(\.finding))
        }
        let user = RecordKey(GroupKey(.user, id("u")), .head)
        let credited = findings { records in
            guard case .account(var account)? = records[user] else { return }
            account.refunded += Amount(100)
            account.balance += Amount(100)
            records[user] = .account(account)
        }
        #expect(credited == [.wrongCaptured])
        let head = RecordKey(GroupKey(.order, order), .head)
        let marked = findings { records in
            guard case .order(var order)? = records[head] else { return }
            order.lines[0].refunded += Amount(1)
            records[head] = .order(order)
        }
        #expect(marked == [.wrongRefunded])
        let finished = RecordKey(GroupKey(.order, order), .refunded(refund(order)))
        #expect(findings { $0[finished] = nil } == [.wrongCaptured, .wrongRefunded])
    }
}

@Suite("Refunds over several processes")
struct SeveralRefundTests {
    private func world(_ seed: UInt64) -> (SeveralWorld, Identifier) {
        let world = SeveralWorld(seed: seed, shops: 3)
        world.put(GroupKey(.item, id("a")), 100)
        world.put(GroupKey(.item, id("b")), 100)
        world.put(GroupKey(.user, id("u")), 10_000)
        let order = world.order("u", ["a", "a", "a", "a", "b"])
        #expect(world.run(.checkout(order: order)) == .checkout(.paid))
        world.pass(seconds: 2)
        return (world, order)
    }

    @Test("whatever is lost, doubled, late, killed, paused or not known: what was paid comes back once", arguments: 1...30)
    func storm(seed: UInt64) {
        let (world, order) = world(seed)
        world.faults = .storm
        var asked: [Request] = []
        for number in 0..<50 {
            let key = number % 3 == 0 ? nil : "k\(number)"
            asked.append(world.ask(.giveBack(order, number % 2 == 0 ? [("a", 1)] : nil), at: number % 3, key: key))
            if number % 10 == 4 { world.kill(Int(seed % 3)) }
            if number % 10 == 9 { world.pause(Int((seed + 1) % 3), milliseconds: 4_000) }
            world.pass(100)
        }
        world.pass(seconds: 10)
        world.faults = .none
        world.pass(seconds: 30)
        #expect(world.replicas.allSatisfy { $0.shop.openSagas == 0 })
        // Markers whose end was lost are let go by the scan; the other ones are the store's to remove.
        world.pass(seconds: 60)
        var left: [String] = []
        world.records.forEach { key, record in if record.isLock { left.append("\(key) \(record)") } }
        #expect(left == [])
        #expect(world.account(.user, "u")?.balance == Amount(10_000))
        #expect(world.account(.item, "a")?.balance == Amount(100) && world.account(.item, "b")?.balance == Amount(100))
        #expect(world.audit().culprits == [] && world.events.alarms == [])
        let told = asked.flatMap(\.answers).compactMap(\.refund)
        #expect(told.reduce(0) { $0 + $1.amount.raw } <= 500)
    }

    @Test("a refund whose process is silent is driven by another one, and by none while that lives")
    func takeover() {
        let (world, order) = world(7)
        world.faults.lost = 100
        for _ in 0..<5 { world.ask(.giveBack(order, [("a", 1)]), at: 0) }
        world.pass(seconds: 30)
        #expect(world.replicas.map(\.shop.openSagas) == [4, 0, 0], "nobody drives them besides their own process")
        world.pause(0, milliseconds: 60_000)
        world.pass(seconds: 5)
        #expect(world.replicas[1].shop.openSagas + world.replicas[2].shop.openSagas == 4)
        world.faults = .none
        world.pass(seconds: 100)
        #expect(world.replicas.allSatisfy { $0.shop.openSagas == 0 })
        #expect(world.account(.user, "u")?.balance == Amount(9_900))
        #expect(world.audit().culprits == [] && world.events.alarms == [])
    }

    @Test("clocks that differ by nearly the skew that is promised cost no refund", arguments: [59_000, -59_000])
    func skew(skew: Int64) {
        let (world, order) = world(3)
        world.replicas[1].clock.wallMilliseconds += skew
        let asked = (0..<4).map { world.ask(.giveBack(order, [("a", 1)]), at: $0 % 3) }
        world.pass(seconds: 5)
        #expect(asked.allSatisfy { $0.answer?.refund != nil })
        #expect(world.account(.user, "u")?.balance == Amount(9_900))
        #expect(world.audit().culprits == [])
    }

    @Test("a gateway's second copy gets the refund of the first, and one that is refused is refused for good")
    func copies() throws {
        let (world, order) = world(5)
        func stamp(_ number: Int, isRepeated: Bool) -> RequestStamp? {
            RequestStamp(
                request: String(repeating: "0", count: 31) + "\(number)", sent: world.replicas[0].clock.wallMilliseconds,
                isRepeated: isRepeated)
        }
        let first = world.ask(.giveBack(order, [("a", 1)]), at: 0, stamp: stamp(1, isRepeated: false))
        let second = world.ask(.giveBack(order, [("a", 1)]), at: 1, stamp: stamp(1, isRepeated: true))
        world.pass(seconds: 8)
        let refund = try #require(first.answer?.refund ?? second.answer?.refund)
        #expect(first.answer?.refund == refund && second.answer?.refund == refund)
        #expect(world.run(.giveBack(order)) != nil)
        let sent = stamp(2, isRepeated: false)
        world.pause(1, milliseconds: 15_000)
        let early = world.ask(.giveBack(order), at: 1, stamp: sent)
        let late = world.ask(.giveBack(order), at: 0, stamp: stamp(2, isRepeated: true))
        world.pass(seconds: 25)
        #expect(late.answer == .order(.nothingToRefund))
        #expect(early.answer == .keyed(.late))
        #expect(world.account(.user, "u")?.balance == Amount(10_000))
        #expect(world.audit().culprits == [])
    }
}
