import TestSupport
import Testing

@testable import KontorCore

@Suite("Idempotency keys")
struct IdempotencyTests {
    private let account = GroupKey(.item, id("i"))

    private func key(_ text: String) throws -> IdempotencyKey { try #require(IdempotencyKey(text)) }

    private func write(
        _ request: [UInt8] = [1], key text: String = "k", expires: Int64 = 1_500, hasRoom: Bool = true
    ) throws -> KeyedWrite {
        KeyedWrite(KeyClaim(key: try key(text), request: request, expires: expires), hasRoom: hasRoom)
    }

    @Test("a repeated write has one effect, and is told so")
    func replay() throws {
        var ledger = Ledger(balance: 0)
        #expect(ledger.do(.deposit(Amount(5)), try write()) == .decided(.done))
        #expect(ledger.do(.deposit(Amount(5)), try write()) == .keyed(.replayed))
        #expect(ledger.state?.balance == Amount(5))
    }

    @Test("another request under the key changes nothing")
    func reuse() throws {
        var ledger = Ledger(balance: 0)
        ledger.do(.deposit(Amount(5)), try write([1]))
        #expect(ledger.do(.deposit(Amount(6)), try write([2])) == .keyed(.usedForAnother))
        #expect(ledger.state?.balance == Amount(5))
        #expect(ledger.do(.deposit(Amount(6)), try write([2], key: "other")) == .decided(.done))
    }

    @Test("a refused write leaves no key, so that it can succeed later")
    func refusal() throws {
        var ledger = Ledger(balance: 1)
        #expect(ledger.do(.withdraw(Amount(2)), try write()) == .decided(.insufficient(balance: Amount(1))))
        ledger.do(.deposit(Amount(1)))
        #expect(ledger.do(.withdraw(Amount(2)), try write()) == .decided(.done))
        #expect(ledger.do(.withdraw(Amount(2)), try write()) == .keyed(.replayed))
    }

    @Test("a duplicate is found before the amounts are looked at")
    func beforeAmounts() throws {
        var ledger = Ledger(balance: 2)
        ledger.do(.withdraw(Amount(2)), try write())
        #expect(ledger.do(.withdraw(Amount(2)), try write()) == .keyed(.replayed), "not: insufficient")
    }

    @Test("a success without an effect leaves its key, too, so that a repetition has none either")
    func withoutEffect() throws {
        var book = OrderBook(items: ["a"])
        book.do(.remove)
        #expect(book.do(.remove, try write()) == .decided(.done))
        #expect(book.records[.key(try key("k"))] != nil)
        var user = Ledger(balance: 10, account: GroupKey(.user, id("u")))
        let order = id("o")
        func pay() {
            guard case .held(let grant) = user.do(.lockPayment(order: order, Amount(4), expiry: 0)) else { return }
            user.do(.payDirectly(order: order, incarnation: 7, Amount(4), grant: grant))
        }
        pay()
        user.do(.cancelPayment(order: order))
        #expect(user.do(.cancelPayment(order: order), try write()) == .decided(.done))
        pay()
        #expect(user.do(.cancelPayment(order: order), try write()) == .keyed(.replayed))
        #expect(user.state?.balance == Amount(6))
    }

    @Test("the key of a checkout whose order is paid already is kept")
    func paidAlready() throws {
        var book = OrderBook(items: ["a"])
        guard case .begun(let saga) = book.do(.begin(now: 5, deadline: 9, nil)) else {
            Issue.record("not begun")
            return
        }
        book.do(.decide(saga.id, .commit))
        book.do(.finish(saga.id))
        let keyed = try write()
        #expect(book.do(.begin(now: 5, deadline: 9, keyed.claim), keyed) == .decided(.alreadyPaid))
        #expect(book.records[.key(try key("k"))] == .key(KeptKey(request: [1], expires: 1_500)))
    }

    @Test("without room new keys are refused, and old ones still answer")
    func room() throws {
        var ledger = Ledger(balance: 0)
        ledger.do(.deposit(Amount(5)), try write())
        #expect(ledger.do(.deposit(Amount(5)), try write(hasRoom: false)) == .keyed(.replayed))
        #expect(ledger.do(.deposit(Amount(5)), try write(key: "new", hasRoom: false)) == .keyed(.noRoom))
        #expect(ledger.state?.balance == Amount(5))
    }

    @Test("a key is free again when its time is over, not before")
    func expiry() throws {
        var ledger = Ledger(balance: 0)
        ledger.do(.deposit(Amount(5)), try write(), now: 1_000)
        #expect(ledger.do(.deposit(Amount(5)), try write(), now: 1_499) == .keyed(.replayed))
        #expect(ledger.do(.deposit(Amount(7)), try write([2], expires: 2_000), now: 1_500) == .decided(.done))
        #expect(ledger.do(.deposit(Amount(7)), try write([2]), now: 1_501) == .keyed(.replayed))
    }

    @Test("a checkout's key is kept with the decision to commit, and with no other")
    func checkout() throws {
        var book = OrderBook(items: ["a"])
        let keyed = try write()
        let member = Member.key(try key("k"))
        guard case .decided(.begun(let first)) = book.do(.begin(now: 5, deadline: 9, keyed.claim), keyed) else {
            Issue.record("not begun")
            return
        }
        #expect(book.records[member] == nil)
        book.do(.decide(first.id, .abort(.contended(account: account))))
        book.do(.finish(first.id))
        #expect(book.records[member] == nil)
        guard case .decided(.begun(let second)) = book.do(.begin(now: 5, deadline: 9, keyed.claim), keyed) else {
            Issue.record("not begun")
            return
        }
        book.do(.decide(second.id, .commit))
        #expect(book.records[member] == .key(KeptKey(request: [1], expires: 1_500)))
        #expect(book.do(.begin(now: 5, deadline: 9, keyed.claim), keyed) == .keyed(.replayed))
    }

    /// A gateway's copies of one request, sent at 1,000.
    private func copy(of request: [UInt8] = [1], claim: KeyClaim? = nil) throws -> KeyedWrite {
        let stamp = try #require(RequestStamp(request: String(repeating: "a", count: 32), sent: 1_000, isRepeated: false))
        return KeyedWrite(
            claim, request: KeyClaim(key: stamp.id, request: request, expires: stamp.expires), latest: stamp.latest)
    }

    @Test("a copy of a request has the effect once, and none when it comes too late")
    func copies() throws {
        var ledger = Ledger(balance: 10)
        let late = 1_000 + Limits.lateWriteMilliseconds
        #expect(ledger.do(.withdraw(Amount(2)), try copy(), now: late) == .keyed(.late))
        #expect(ledger.do(.withdraw(Amount(2)), try copy(), now: late - 1) == .decided(.done))
        #expect(ledger.do(.withdraw(Amount(2)), try copy(), now: late - 1) == .keyed(.replayed))
        #expect(ledger.do(.withdraw(Amount(2)), try copy(), now: late) == .keyed(.late))
        #expect(ledger.state?.balance == Amount(8))
    }

    @Test("what a process accepts by its clock finds the record of the other copy, whenever that was written")
    func outlives() throws {
        let stamp = try #require(RequestStamp(request: String(repeating: "a", count: 32), sent: 1_000, isRepeated: true))
        #expect(stamp.expires >= stamp.latest + Limits.clockSkewMilliseconds, "the store's clock may be ahead")
        #expect(
            stamp.latest - stamp.sent >= Limits.longestDeadlineMilliseconds + Limits.clockSkewMilliseconds,
            "no copy that is in time is refused, whatever the clocks say")
    }

    @Test("a lease has one holder, until it is over by every clock")
    func leases() throws {
        var ledger = Ledger()
        func lease(_ holder: UInt64, _ step: (Lease) -> LeaseStep, end: Int64 = 5_000, for purpose: [UInt8] = []) -> KeyedWrite
        {
            KeyedWrite(nil, lease: step(Lease("batch_init", holder: holder, purpose: purpose, end: end)))
        }
        let over = 5_000 + Limits.clockSkewMilliseconds
        #expect(ledger.do(.keepKey, lease(1, LeaseStep.renew)) == .keyed(.leased), "nothing to renew")
        #expect(ledger.do(.keepKey, lease(1, LeaseStep.take, for: [7])) == .decided(.done))
        #expect(ledger.do(.keepKey, lease(2, LeaseStep.take), now: over - 1) == .keyed(.leased))
        #expect(ledger.do(.keepKey, lease(2, LeaseStep.take, for: [7]), now: over - 1) == .keyed(.running))
        #expect(ledger.do(.keepKey, lease(2, LeaseStep.end), now: over - 1) == .keyed(.leased))
        #expect(ledger.do(.keepKey, lease(2, LeaseStep.take, end: over * 2), now: over) == .decided(.done))
        #expect(ledger.do(.keepKey, lease(1, LeaseStep.renew, for: [7]), now: over) == .keyed(.leased), "it was taken over")
        #expect(ledger.do(.keepKey, lease(1, LeaseStep.end, for: [7]), now: over) == .keyed(.leased))
        #expect(ledger.do(.keepKey, lease(2, LeaseStep.end), now: over) == .decided(.done))
        #expect(ledger.do(.keepKey, lease(1, LeaseStep.take, for: [7]), now: over) == .decided(.done))
    }

    @Test("what a retry in lock order begins has the key of the first attempt")
    func checkoutRetried() throws {
        var book = OrderBook(items: ["a"])
        let keyed = try write()
        guard case .decided(.begun(let first)) = book.do(.begin(now: 5, deadline: 9, keyed.claim), keyed) else {
            Issue.record("not begun")
            return
        }
        book.do(.decide(first.id, .retryInOrder))
        guard case .begun(let second) = book.do(.beginAgain(first.id, SagaTrace(after: 3, legs: []))) else {
            Issue.record("not begun again")
            return
        }
        #expect(second.claim == keyed.claim)
        #expect(second.begun == 8)
    }

    @Test("1 to 255 visible characters are a key")
    func keys() {
        #expect(IdempotencyKey(String(repeating: "~", count: 255)) != nil)
        #expect(IdempotencyKey("!")?.text == "!")
        for bad in ["", String(repeating: "k", count: 256), "a b", "a\tb", "ä", "a\u{7F}", "\u{0}"] {
            #expect(IdempotencyKey(bad) == nil, "\(bad.debugDescription)")
        }
        #expect(IdempotencyKey("gw-1")?.isReserved == false)
        #expect(IdempotencyKey(reserved: "request:1").isReserved)
    }
}

extension Ledger {
    @discardableResult
    mutating func `do`(_ operation: LedgerCommand.Operation, _ keyed: KeyedWrite, now: Int64 = 1_000) -> Reply<LedgerOutcome> {
        decideKeyed(LedgerRules.self, LedgerCommand(account, operation), keyed, now, &records)
    }
}

extension OrderBook {
    @discardableResult
    mutating func `do`(_ operation: OrderCommand.Operation, _ keyed: KeyedWrite, now: Int64 = 1_000) -> Reply<OrderOutcome> {
        decideKeyed(OrderRules.self, OrderCommand(order, operation), keyed, now, &records)
    }
}

private func decideKeyed<R: Rules>(
    _ rules: R.Type, _ command: R.Command, _ keyed: KeyedWrite, _ now: Int64, _ records: inout [Member: Record]
) -> Reply<R.Outcome> {
    let readSet = R.readSet(of: command)
    var draft = GroupDraft(readSet.group)
    for member in [.head, readSet.member ?? .head] { draft.add(member, records[member]) }
    keyed.forEachMember { draft.add($0, records[$0]) }
    let reply = R.decide(command, keyed, now: now, on: &draft)
    draft.forEachChange { member, record in records[member] = record }
    return reply
}
