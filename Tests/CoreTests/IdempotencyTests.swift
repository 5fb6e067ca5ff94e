import TestSupport
import Testing

@testable import KontorCore

@Suite("Idempotency keys")
struct IdempotencyTests {
    private let account = GroupKey(.item, id("i"))

    private func key(_ text: String) throws -> IdempotencyKey { try #require(IdempotencyKey(text)) }

    private func write(
        _ request: [UInt8] = [1], key text: String = "k", now: Int64 = 1_000, kept: Int64 = 500, hasRoom: Bool = true
    ) throws -> KeyedWrite {
        KeyedWrite(KeyClaim(key: try key(text), request: request, expires: now + kept), now: now, hasRoom: hasRoom)
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

    @Test("a success without an effect leaves no key")
    func withoutEffect() throws {
        var book = OrderBook(items: ["a"])
        book.do(.remove)
        #expect(book.do(.remove, try write()) == .decided(.done))
        #expect(book.records[.key(try key("k"))] == nil)
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
        ledger.do(.deposit(Amount(5)), try write(now: 1_000, kept: 500))
        #expect(ledger.do(.deposit(Amount(5)), try write(now: 1_499)) == .keyed(.replayed))
        #expect(ledger.do(.deposit(Amount(7)), try write([2], now: 1_500)) == .decided(.done))
        #expect(ledger.do(.deposit(Amount(7)), try write([2], now: 1_501)) == .keyed(.replayed))
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
        #expect(IdempotencyKey("gw-1")?.isOfGateway == true)
        #expect(IdempotencyKey("gw")?.isOfGateway == false)
    }
}

extension Ledger {
    @discardableResult
    mutating func `do`(_ operation: LedgerCommand.Operation, _ keyed: KeyedWrite) -> Reply<LedgerOutcome> {
        decideKeyed(LedgerRules.self, LedgerCommand(account, operation), keyed, &records)
    }
}

extension OrderBook {
    @discardableResult
    mutating func `do`(_ operation: OrderCommand.Operation, _ keyed: KeyedWrite) -> Reply<OrderOutcome> {
        decideKeyed(OrderRules.self, OrderCommand(order, operation), keyed, &records)
    }
}

private func decideKeyed<R: Rules>(
    _ rules: R.Type, _ command: R.Command, _ keyed: KeyedWrite, _ records: inout [Member: Record]
) -> Reply<R.Outcome> {
    let readSet = R.readSet(of: command)
    var draft = GroupDraft(readSet.group)
    for member in [.head, readSet.member ?? .head, .key(keyed.claim.key)] { draft.add(member, records[member]) }
    let reply = R.decide(command, keyed, on: &draft)
    draft.forEachChange { member, record in records[member] = record }
    return reply
}
