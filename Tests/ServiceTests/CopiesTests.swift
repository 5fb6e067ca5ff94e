// Requests that a gateway sends a second time while the first copy lies in the socket of a process that stands still.
// What was refused through the gateway never has an effect (findings A1, A2, A4, A11).

import KontorCore
import KontorService
import KontorSimulation
import TestSupport
import Testing

@Suite("Copies of a gateway's request")
struct CopiesTests {
    private let item = GroupKey(.item, id("i"))
    private let user = GroupKey(.user, id("u"))
    private let world = SeveralWorld(seed: 1, shops: 3)

    init() {
        world.put(item, 0)
        world.put(user, 0)
    }

    private func stamp(_ number: Int = 1, sent: Int64? = nil, isRepeated: Bool) -> RequestStamp? {
        let digits = String(number, radix: 16)
        return RequestStamp(
            request: String(repeating: "0", count: 32 - digits.count) + digits,
            sent: sent ?? world.replicas[0].clock.wallMilliseconds, isRepeated: isRepeated)
    }

    private func settle(_ passes: Int = 60) { for _ in 0..<passes { world.pass() } }

    /// One write: the first copy lies in the socket of a paused process, the second one is refused by another; then
    /// `mend` gives what was missing, and the first process goes on.
    private func refusedThenResumed(
        _ request: ShopRequest, key: String? = nil, expecting refusal: ShopAnswer, mend: () -> Void
    ) {
        world.pause(1, milliseconds: 20_000)
        let first = stamp(isRepeated: false)
        let early = world.ask(request, at: 1, key: key, stamp: first)
        settle()
        let again = world.ask(request, at: 0, key: key, stamp: stamp(sent: first?.sent, isRepeated: true))
        // Some of its messages go to the paused process, and are sent again.
        world.pass(seconds: 5)
        #expect(again.answer == refusal)
        mend()
        world.pass(seconds: 25)
        #expect(early.answer == .keyed(.late), "\(request), key \(key ?? "none")")
    }

    @Test("a withdrawal that was refused is not done later", arguments: [nil, "k"])
    func withdrawal(key: String?) {
        let request = ShopRequest.ledger(LedgerCommand(item, .withdraw(Amount(3))))
        refusedThenResumed(request, key: key, expecting: .ledger(.insufficient(balance: .zero))) { world.put(item, 10) }
        #expect(world.account(.item, "i")?.balance == Amount(10))
    }

    @Test("a payment that was refused is not done later", arguments: [nil, "k"])
    func payment(key: String?) {
        let request = ShopRequest.pay(user: id("u"), order: world.order("u", ["i"]), Amount(3))
        refusedThenResumed(request, key: key, expecting: .ledger(.insufficient(balance: .zero))) { world.put(user, 10) }
        #expect(world.account(.user, "u")?.balance == Amount(10))
    }

    @Test("a write to an account that was not there is not done later", arguments: [nil, "k"])
    func absent(key: String?) {
        let other = GroupKey(.item, id("other"))
        let request = ShopRequest.ledger(LedgerCommand(other, .deposit(Amount(3))))
        refusedThenResumed(request, key: key, expecting: .ledger(.unknownAccount)) { world.put(other, 10) }
        #expect(world.account(.item, "other")?.balance == Amount(10))
    }

    @Test("a creation that was refused makes nothing later", arguments: [nil, "k"])
    func creation(key: String?) {
        let before = world.records.expiringRecords
        refusedThenResumed(.createOrder(user: id("v")), key: key, expecting: .ledger(.unknownAccount)) {
            world.put(GroupKey(.user, id("v")), 0)
        }
        #expect(world.records.expiringRecords == before + 1, "the tombstone, and nothing else")
    }

    @Test("an order whose checkout was refused is not paid later by its first copy")
    func placement() {
        world.put(user, 10_000)
        let new = NewOrder(user: id("u"), lines: [ItemUnits(item: id("i"), units: Amount(1))], checksOut: true)
        world.pause(1, milliseconds: 20_000)
        let first = stamp(isRepeated: false)
        let early = world.ask(.shown(.newOrder(new)), at: 1, key: "k", stamp: first)
        settle()
        let again = world.ask(.shown(.newOrder(new)), at: 0, key: "k", stamp: stamp(sent: first?.sent, isRepeated: true))
        world.pass(seconds: 5)
        guard case .shown(let made, _, .placed(_, .checkout(.refused)))? = again.answer else {
            Issue.record("\(String(describing: again.answer))")
            return
        }
        world.put(item, 10)
        world.pass(seconds: 25)
        #expect(early.answer == .keyed(.late))
        #expect(world.status(made) == .open)
    }

    @Test("an order that its first copy has placed is not refused by the second one, whatever that cannot look up")
    func placedMeanwhile() throws {
        world.put(item, 10)
        world.put(user, 10_000)
        let new = NewOrder(user: id("u"), lines: [ItemUnits(item: id("i"), units: Amount(1))], checksOut: true)
        let first = stamp(isRepeated: false)
        world.ask(.shown(.newOrder(new)), at: 1, key: "k", stamp: first)
        for _ in 0..<1_000 where world.openSagas.isEmpty { world.pass(1) }
        let saga = try #require(world.openSagas.first)
        world.pause(1, milliseconds: 20_000)
        world.replicas[0].store.failingLoads = 1
        let again = world.ask(.shown(.newOrder(new)), at: 0, key: "k", stamp: stamp(sent: first?.sent, isRepeated: true))
        world.pass(seconds: 30)
        guard case .shown(saga.order, _, let answer)? = again.answer else {
            throw TestFailure("\(String(describing: again.answer))")
        }
        #expect(answer == .placed(saga.order, .checkout(.paid)))
        #expect(world.account(.user, "u")?.balance == Amount(9_900))
    }

    @Test("an order that its first copy has placed without success is there, and the second copy says so")
    func placedInVain() throws {
        world.put(user, 10_000)
        let new = NewOrder(user: id("u"), lines: [ItemUnits(item: id("i"), units: Amount(1))], checksOut: true)
        let first = stamp(isRepeated: false)
        let early = world.ask(.shown(.newOrder(new)), at: 1, key: "k", stamp: first)
        world.pass(seconds: 2)
        guard case .shown(let made, _, .placed(_, .checkout(.refused)))? = early.answer else {
            throw TestFailure("\(String(describing: early.answer))")
        }
        world.replicas[0].store.failingLoads = 1
        let again = world.ask(.shown(.newOrder(new)), at: 0, key: "k", stamp: stamp(sent: first?.sent, isRepeated: true))
        world.pass(seconds: 5)
        guard case .shown(made, _, .placed(made, .unavailable))? = again.answer else {
            throw TestFailure("\(String(describing: again.answer))")
        }
    }

    @Test("a checkout that was refused is not done later", arguments: [nil, "k"])
    func checkout(key: String?) {
        let order = world.order("u", ["i"])
        world.put(user, 10_000)
        let reason = AbortReason.insufficient(account: item, wanted: Amount(1), left: .zero)
        refusedThenResumed(.checkout(order: order), key: key, expecting: .checkout(.refused(reason))) {
            world.put(item, 10)
        }
        #expect(world.status(order) == .open)
        #expect(world.run(.checkout(order: order)) == .checkout(.paid), "another request pays it")
    }

    @Test("a checkout of an order that was not there, or was empty, is not done later")
    func notBegun() {
        world.put(item, 10)
        world.put(user, 10_000)
        guard case .created(let order)? = world.run(.createOrder(user: id("u"))) else {
            Issue.record("no order")
            return
        }
        refusedThenResumed(.checkout(order: order), expecting: .checkout(.notBegun(.isEmpty))) {
            #expect(world.run(.addItem(order: order, item: id("i"), units: Amount(1))) == .order(.done))
        }
        #expect(world.status(order) == .open)
    }

    @Test("a copy that comes back after minutes does not do again what the other one did")
    func afterMinutes() {
        let request = ShopRequest.ledger(LedgerCommand(user, .deposit(Amount(5))))
        world.pause(1, milliseconds: 300_000)
        let first = stamp(isRepeated: false)
        let early = world.ask(request, at: 1, stamp: first)
        let again = world.ask(request, at: 0, stamp: stamp(sent: first?.sent, isRepeated: true))
        settle()
        #expect(again.answer == .ledger(.done))
        world.records.removeRemovable(now: world.replicas[0].clock.wallMilliseconds + 299_000)
        world.pass(seconds: 301)
        #expect(early.answer == .keyed(.late))
        #expect(world.account(.user, "u")?.balance == Amount(5))
    }

    @Test("at any moment, with clocks that are wrong by as much as they may, two copies have one effect", arguments: 0..<8)
    func anyMoment(round: Int) {
        let skew = Limits.clockSkewMilliseconds
        let offsets: [Int64] = [-skew / 2, 0, skew / 2]
        for (index, replica) in world.replicas.enumerated() { replica.clock.wallMilliseconds += offsets[(index + round) % 3] }
        let request = ShopRequest.ledger(LedgerCommand(user, .deposit(Amount(5))))
        world.pause(1, milliseconds: Int64(round) * 30_000)
        let sent = world.replicas[2].clock.wallMilliseconds
        world.ask(request, at: 1, stamp: stamp(sent: sent, isRepeated: false))
        let again = world.ask(request, at: 0, stamp: stamp(sent: sent, isRepeated: true))
        settle()
        #expect(again.answer == .ledger(.done) || again.answer == .replayed(.ledger(.done)))
        for _ in 0..<230 {
            world.pass(seconds: 1)
            let store = world.replicas.map(\.clock.wallMilliseconds).max() ?? 0
            world.records.removeRemovable(now: store)
        }
        #expect(world.account(.user, "u")?.balance == Amount(5))
    }

    @Test("a second copy at the process of the first one joins it", arguments: [nil, "k"])
    func joins(key: String?) {
        let request = ShopRequest.ledger(LedgerCommand(user, .deposit(Amount(5))))
        let first = stamp(isRepeated: false)
        let callers = [first, stamp(sent: first?.sent, isRepeated: true)].map {
            world.ask(request, at: 1, key: key, stamp: $0)
        }
        settle()
        #expect(callers.map(\.answer) == [.ledger(.done), .ledger(.done)])
        #expect(world.account(.user, "u")?.balance == Amount(5))
    }

    @Test("a second copy that could not look its key up is told what the first copy did", arguments: 0..<4)
    func joinedInsteadOfRefused(failingLoads: Int) {
        world.put(item, 10)
        world.put(user, 10_000)
        let order = world.order("u", ["i"])
        let first = stamp(isRepeated: false)
        let early = world.ask(.checkout(order: order), at: 1, key: "k", stamp: first)
        world.pass(seconds: 2)
        #expect(early.answer == .checkout(.paid))
        world.replicas[0].store.failingLoads = failingLoads
        let again = world.ask(
            .checkout(order: order), at: 0, key: "k", stamp: stamp(sent: first?.sent, isRepeated: true))
        world.pass(seconds: 10)
        #expect(again.answer == (failingLoads < 2 ? .replayed(.checkout(.paid)) : .unknown))
    }

    @Test("a refusal that copies at one process share holds for another copy elsewhere, too")
    func sharedRefusal() {
        let request = ShopRequest.ledger(LedgerCommand(item, .withdraw(Amount(3))))
        world.pause(0, milliseconds: 20_000)
        let first = stamp(isRepeated: false)
        let again = stamp(sent: first?.sent, isRepeated: true)
        let elsewhere = world.ask(request, at: 0, stamp: again)
        let shared = [first, again].map { world.ask(request, at: 1, stamp: $0) }
        world.pass(seconds: 5)
        #expect(shared.map(\.answer) == [.ledger(.insufficient(balance: .zero)), .ledger(.insufficient(balance: .zero))])
        let stock = LedgerCommand(item, .replace(balance: Amount(10), price: Amount(100)))
        #expect(world.run(.ledger(stock), at: 1) == .ledger(.done))
        world.pass(seconds: 25)
        #expect(elsewhere.answer?.isRefusal == false && world.account(.item, "i")?.balance == Amount(10))
    }

    @Test("a second copy of a checkout under another request's key is refused for that, although the order is paid")
    func keyOfAnother() {
        world.put(item, 10)
        world.put(user, 10_000)
        let order = world.order("u", ["i"])
        world.ask(.addItem(order: order, item: id("i"), units: Amount(1)), at: 1, key: "k")
        settle()
        #expect(world.run(.checkout(order: order), at: 1) == .checkout(.paid))
        let again = world.ask(.checkout(order: order), at: 1, key: "k", stamp: stamp(isRepeated: true), within: 20_000)
        settle()
        #expect(again.answer == .keyed(.usedForAnother))
    }

    @Test("a stamp of a clock that is further ahead than clocks may be has no effect")
    func farAhead() {
        let ahead = world.replicas[0].clock.wallMilliseconds + Limits.clockSkewMilliseconds + 1
        let request = ShopRequest.ledger(LedgerCommand(user, .deposit(Amount(5))))
        let caller = world.ask(request, at: 0, stamp: stamp(sent: ahead, isRepeated: false))
        settle()
        #expect(caller.answer == .keyed(.late) && world.account(.user, "u")?.balance == .zero)
        #expect(stamp(sent: Limits.latestTime - 1, isRepeated: false) == nil)
    }

    @Test("a second copy that can leave no tombstone is told that nobody knows")
    func noTombstone() {
        world.records.admission = .diskFull
        let refused = world.ask(.checkout(order: id("o")), at: 0, stamp: stamp(1, isRepeated: false))
        let again = world.ask(.checkout(order: id("o")), at: 0, stamp: stamp(2, isRepeated: true))
        let payment = world.ask(
            .pay(user: id("u"), order: id("o"), Amount(3)), at: 0, stamp: stamp(3, isRepeated: true))
        settle()
        #expect(refused.answer == .unavailable(.diskFull))
        #expect(again.answer == .unknown)
        #expect(payment.answer == .unknown)
    }

    @Test("a first copy that is refused writes nothing")
    func firstRefused() {
        let before = world.records.expiringRecords
        let withdrawal = ShopRequest.ledger(LedgerCommand(item, .withdraw(Amount(3))))
        let caller = world.ask(withdrawal, at: 0, stamp: stamp(isRepeated: false))
        settle()
        #expect(caller.answer == .ledger(.insufficient(balance: .zero)))
        #expect(world.records.expiringRecords == before)
    }

    @Test("checkouts that join another caller's keep their own keys")
    func joinedKeys() {
        world.put(item, 10)
        world.put(user, 10_000)
        let order = world.order("u", ["i"])
        let callers = ["a", "b", "c"].map { world.ask(.checkout(order: order), at: 0, key: $0) }
        world.pass(seconds: 10)
        #expect(callers.allSatisfy { $0.answer == .checkout(.paid) })
        // The order is replaced by another one of the same id: the keys still mean the old one.
        for key in ["a", "b", "c"] {
            let repetition = world.ask(.checkout(order: order), at: 1, key: key)
            settle()
            #expect(repetition.answer == .replayed(.checkout(.paid)), "\(key)")
        }
    }

    @Test("who began a checkout that was undone meanwhile, and whose order another one paid, keeps the own key")
    func undoneMeanwhile() {
        world.put(user, 10_000)
        let order = world.order("u", ["i"])
        world.faults.lost = 100
        let sleeper = world.ask(.checkout(order: order), at: 0, key: "a", within: 60_000)
        world.pass()
        #expect(world.openSagas.count == 1)
        world.pause(0, milliseconds: 30_000)
        world.faults = .none
        // Another process takes the checkout over, and there is no stock.
        world.pass(seconds: 20)
        #expect(world.status(order) == .open && world.openSagas.isEmpty)
        let stock = LedgerCommand(item, .replace(balance: Amount(10), price: Amount(100)))
        #expect(world.run(.ledger(stock), at: 1) == .ledger(.done))
        let other = world.ask(.checkout(order: order), at: 1, key: "b")
        world.pass(seconds: 5)
        #expect(other.answer == .checkout(.paid))
        world.pass(seconds: 25)
        #expect(world.status(order) == .paid && sleeper.answer == .checkout(.paid))
        let repetition = world.ask(.checkout(order: order), at: 2, key: "a")
        settle()
        #expect(repetition.answer == .replayed(.checkout(.paid)))
    }

    // MARK: batch_init at two replicas (A5, F3)

    private func initItems(_ stock: Int64, count: Int = 1_300) -> ShopRequest {
        .initItems(count: count, stock: Amount(stock), price: Amount(1))
    }

    /// Begins one of many slices at process 0, and returns in its midst.
    private func beginMany(key: String? = nil) -> Request {
        let caller = world.ask(initItems(1, count: 30_000), at: 0, key: key)
        for _ in 0..<100 where world.account(.item, "0") == nil { world.pass() }
        #expect(caller.answers.isEmpty && world.account(.item, "29999") == nil)
        return caller
    }

    @Test("of two batch_inits at two processes one is refused, and can begin when the other one has ended")
    func oneAtATime() {
        let callers = [world.ask(initItems(1), at: 0), world.ask(initItems(2), at: 1)]
        world.pass(seconds: 5)
        #expect(Set(callers.map(\.answer)) == [.initialized, .keyed(.leased)])
        #expect(world.run(initItems(3), at: 2) == .initialized)
        for number in [0, 700, 1_299] { #expect(world.account(.item, "\(number)")?.balance == Amount(3)) }
    }

    @Test("a keyed batch_init that is repeated elsewhere while it runs, and after it, is done once")
    func keyedOnce() {
        let first = world.ask(initItems(1), at: 0, key: "k")
        let meanwhile = world.ask(initItems(1), at: 1, key: "k")
        world.pass(seconds: 5)
        #expect(Set([first.answer, meanwhile.answer]) == [.initialized, .keyed(.running)])
        world.ask(.ledger(LedgerCommand(GroupKey(.item, id("7")), .deposit(Amount(5)))))
        let later = world.ask(initItems(1), at: 2, key: "k")
        world.pass(seconds: 5)
        #expect(later.answer == .replayed(.initialized))
        #expect(world.account(.item, "7")?.balance == Amount(6))
    }

    @Test("the lease of a dead one ends by itself, and the repetition completes it")
    func deadHolder() {
        _ = beginMany(key: "k")
        world.kill(0)
        #expect(world.run(initItems(2), at: 1) == .keyed(.leased))
        world.pass(seconds: (Limits.batchInitLeaseMilliseconds + Limits.clockSkewMilliseconds) / 1_000 + 1)
        let repetition = world.ask(initItems(1, count: 30_000), at: 1, key: "k")
        world.pass(seconds: 20)
        #expect(repetition.answer == .initialized)
        for number in [0, 700, 29_999] { #expect(world.account(.item, "\(number)")?.balance == Amount(1)) }
    }

    @Test("one that stood still past its lease replaces nothing any more")
    func paused() {
        let sleeper = beginMany()
        world.pause(0, milliseconds: 200_000)
        world.pass(seconds: 100)
        // All of them: what the sleeper has replaced already it does not replace again.
        let next = world.ask(initItems(2, count: 30_000), at: 1)
        world.pass(seconds: 20)
        #expect(next.answer == .initialized)
        world.pass(seconds: 120)
        #expect(sleeper.answer == .unknown)
        let replaced = stride(from: 99, to: 30_000, by: 100).filter { world.account(.item, "\($0)")?.balance != Amount(2) }
        #expect(replaced == [])
    }
}
