// The rules of refunds, in the order's group and in the accounts'.

import TestSupport
import Testing

@testable import KontorCore

func refundID(_ number: UInt32 = 1) -> RefundID { RefundID(order: id("o"), incarnation: 7, number: number) }

extension OrderCommand.Operation {
    static func refund(_ lines: [(String, Int64)]? = nil, restock: Bool = true) -> Self {
        .beginRefund(
            RefundTerms(lines: lines?.map { ItemUnits(item: id($0.0), units: Amount($0.1)) }, restock: restock, now: 5))
    }
}

extension OrderBook {
    /// An order that its checkout has paid.
    init(paid items: [String]) {
        self.init(items: items)
        pay()
    }

    mutating func pay() {
        guard case .begun(let saga) = self.do(.begin(deadline: 10)) else { return }
        self.do(.decide(saga.id, .commit))
        self.do(.finish(saga.id))
    }

    var openRefunds: [Refund] {
        records.compactMap { if case .refund = $0.key, case .refund(let refund) = $0.value { refund } else { nil } }
    }

    /// Begins a refund, which must be possible.
    mutating func refunded(_ lines: [(String, Int64)]? = nil) throws -> Refund {
        let outcome = self.do(.refund(lines))
        guard case .refund(let refund) = outcome else { throw TestFailure("\(outcome)") }
        return refund
    }
}

@Suite("Refunds of an order")
struct OrderRefundTests {
    @Test("a refund is of what is not refunded yet, and several may be open")
    func parts() throws {
        var book = OrderBook(paid: ["a", "a", "b"])
        let first = try book.refunded([("a", 1)])
        #expect(first.id == refundID(1) && first.amount == Amount(100) && first.finished == nil && first.user == id("u"))
        #expect(
            first.legs == [
                Leg(account: GroupKey(.user, id("u")), amount: Amount(100)),
                Leg(account: GroupKey(.item, id("a")), amount: Amount(1)),
            ])
        let rest = try book.refunded()
        #expect(rest.id == refundID(2) && rest.amount == Amount(200) && rest.legs.count == 3)
        #expect(book.openRefunds.count == 2)
        #expect(book.do(.refund()) == .nothingToRefund)
        #expect(book.do(.refund([("a", 1)])) == .exceedsRefundable(item: id("a"), left: .zero))
        #expect(book.state?.isRefunded == true && book.state?.status == .paid)
        #expect(book.state?.refundedAmount == book.state?.total)
    }

    @Test("more than was bought is refused, and nothing is changed")
    func excess() {
        var book = OrderBook(paid: ["a", "b"])
        let before = book.records
        #expect(book.do(.refund([("a", 2)])) == .exceedsRefundable(item: id("a"), left: Amount(1)))
        #expect(book.do(.refund([("a", 1), ("a", 1)])) == .exceedsRefundable(item: id("a"), left: .zero))
        #expect(book.do(.refund([("c", 1)])) == .exceedsRefundable(item: id("c"), left: .zero))
        #expect(book.do(.refund([])) == .nothingToRefund)
        #expect(book.records == before)
    }

    @Test("of an item with several prices the units that were added last are given back first")
    func prices() throws {
        var book = OrderBook(items: ["a"])
        book.do(.addItem(OrderLine(item: id("a"), units: Amount(2), price: Amount(30))))
        book.pay()
        let first = try book.refunded([("a", 1)])
        #expect(first.amount == Amount(30))
        let second = try book.refunded([("a", 2)])
        #expect(second.amount == Amount(130) && second.lines.count == 2)
        #expect(second.legs.last == Leg(account: GroupKey(.item, id("a")), amount: Amount(2)))
    }

    @Test("only an order that a checkout has paid, and whose captures have ended, is refunded")
    func states() throws {
        var book = OrderBook(items: ["a"])
        #expect(book.do(.refund()) == .notPaid)
        guard case .begun(let saga) = book.do(.begin(deadline: 10)) else { return }
        #expect(book.do(.refund()) == .isCheckingOut)
        book.do(.decide(saga.id, .commit))
        #expect(book.do(.refund()) == .isCheckingOut)
        book.do(.finish(saga.id))
        _ = try book.refunded()
        var removed = OrderBook(items: ["a"])
        removed.do(.remove)
        #expect(removed.do(.refund()) == .isRemoved)
    }

    @Test("a checkout of a refunded order is refused, of one that is refunded in part it succeeds at once")
    func checkout() throws {
        var book = OrderBook(paid: ["a", "b"])
        _ = try book.refunded([("a", 1)])
        #expect(book.do(.begin(deadline: 10)) == .alreadyPaid)
        #expect(book.do(.refuseSaga(isCheckout: true)) == .alreadyPaid)
        _ = try book.refunded()
        #expect(book.do(.begin(deadline: 10)) == .isRefunded)
        #expect(book.do(.refuseSaga(isCheckout: true)) == .done)
    }

    @Test("finish ends a refund once, and its record stays")
    func finish() throws {
        var book = OrderBook(paid: ["a"])
        let refund = try book.refunded()
        #expect(book.do(.findRefund(refund.id)) == .refundOpen)
        guard case .refund(let finished) = book.do(.finishRefund(refund.id, now: 3)) else {
            Issue.record("it was not finished")
            return
        }
        #expect(finished.finished == 5, "not before it began, whatever the clock says")
        #expect(book.do(.finishRefund(refund.id, now: 9)) == .refundOver)
        #expect(book.do(.findRefund(refund.id)) == .refundOver)
        #expect(book.do(.readRefund(refund.id)) == .refund(finished))
        #expect(book.do(.readRefunds) == .refunds([finished]))
        #expect(book.openRefunds == [])
    }

    @Test("batch_init does not replace an order with an open refund; the receipt keeps what was refunded")
    func replace() throws {
        var book = OrderBook(paid: ["a", "b"])
        let refund = try book.refunded([("a", 1)])
        let next = Order(user: id("v"), incarnation: 8)
        #expect(book.do(.replace(next)) == .isCheckingOut)
        book.do(.finishRefund(refund.id, now: 9))
        #expect(book.do(.replace(next)) == .done)
        guard case .order(let receipt)? = book.records[.receipt(incarnation: 7)] else {
            Issue.record("there is no receipt")
            return
        }
        #expect(receipt.refundedAmount == Amount(100))
        #expect(book.do(.readRefunds) == .refunds([]))
        guard case .refund(let kept) = book.do(.readRefund(refund.id)) else {
            Issue.record("the refund is gone")
            return
        }
        #expect(kept.finished == 9)
    }

    @Test("the number of refunds is bounded")
    func bound() throws {
        var book = OrderBook(items: ["a"])
        book.do(.addItem(OrderLine(item: id("a"), units: Amount(Int64(Limits.orderRefunds)), price: Amount(1))))
        book.pay()
        for _ in 0..<Limits.orderRefunds { _ = try book.refunded([("a", 1)]) }
        #expect(book.do(.refund([("a", 1)])) == .overLimit(.refunds))
    }

    @Test("a refund that has begun is complete for its key, which refers to it")
    func key() throws {
        var book = OrderBook(paid: ["a"])
        let key = try #require(IdempotencyKey("key"))
        let keyed = KeyedWrite(KeyClaim(key: key, request: [1], expires: 100))
        func ask() -> Reply<OrderOutcome> {
            let command = OrderCommand(book.order, .refund())
            var draft = GroupDraft(GroupKey(.order, book.order), head: book.records[.head])
            for member in [Member.saga, .key(key)] { draft.add(member, book.records[member]) }
            let reply = OrderRules.decide(command, keyed, now: 1, on: &draft)
            draft.forEachChange { book.records[$0] = $1 }
            return reply
        }
        guard case .decided(.refund(let refund)) = ask(), case .key(let kept)? = book.records[.key(key)] else {
            Issue.record("nothing was kept")
            return
        }
        #expect(RefundID(kept.reference, of: book.order) == refund.id)
        #expect(ask() == .keyed(.replayed))
        #expect(book.openRefunds.count == 1)
    }
}

@Suite("Credits of a refund")
struct CreditTests {
    private let now: Int64 = 1_000_000_000
    private var expiry: Int64 { CreditMarker.expiry(confirmed: now) }

    private func sold() -> Ledger {
        var ledger = Ledger(balance: 5)
        if case .held(let grant) = ledger.do(.hold(sagaID(), Amount(3), mayWait: false)) {
            ledger.do(.capture(sagaID(), Amount(3), grant: grant))
        }
        ledger.do(.forget(sagaID()))
        return ledger
    }

    @Test("a credit has its effect once, however often it comes")
    func once() {
        var ledger = sold()
        for _ in 0..<3 { #expect(ledger.do(.refund(refundID(), Amount(2), expiry: expiry), now: now) == .done) }
        #expect(ledger.state?.balance == Amount(4) && ledger.state?.refunded == Amount(2) && ledger.isBalanced)
        #expect(ledger.do(.refund(refundID(), Amount(3), expiry: expiry), now: now) == .anomaly(.differentAmount))
        #expect(ledger.do(.refund(refundID(2), Amount(1), expiry: expiry), now: now) == .done, "another refund is another one")
        #expect(ledger.state?.balance == Amount(5) && ledger.isBalanced)
    }

    @Test("a credit is refused when it is untimely, and its duplicate is not")
    func untimely() {
        var ledger = sold()
        let late = now - Limits.clockSkewMilliseconds - 1
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: late), now: now) == .anomaly(.untimelyRefund))
        let absurd = CreditMarker.latestExpiry(now: now) + 1
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: absurd), now: now) == .anomaly(.untimelyRefund))
        #expect(ledger.state?.refunded == .zero)
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: late + 1), now: now) == .done)
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: late), now: now) == .done)
        #expect(ledger.state?.refunded == Amount(2))
    }

    @Test("alone, a marker goes when its refund is over")
    func forgetAlone() {
        var ledger = sold()
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: 0)) == .done)
        #expect(ledger.state?.openRefunds == 1)
        for _ in 0..<2 { #expect(ledger.do(.forgetRefund(refundID(), expiry: 0)) == .done) }
        #expect(ledger.marker(refundID()) == nil && ledger.state?.openRefunds == 0)
    }

    @Test("where messages can be late, a marker stays until each copy is refused as untimely")
    func forgetLate() throws {
        var ledger = sold()
        ledger.do(.refund(refundID(), Amount(2), expiry: expiry), now: now)
        ledger.do(.forgetRefund(refundID(), expiry: CreditMarker.latestExpiry(now: now)), now: now)
        let marker = try #require(ledger.marker(refundID()))
        #expect(marker.isForgotten && ledger.state?.openRefunds == 0)
        #expect(!Record.marker(marker).isLock)
        // A copy that the sender confirmed just before, by a clock that is ahead by all that it may be.
        let last = CreditMarker.expiry(confirmed: now + Limits.clockSkewMilliseconds)
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: last), now: now + 1) == .done)
        let removed = try #require(Record.marker(marker).removableFrom)
        // It comes after the marker is gone, to a process whose clock is behind by as much.
        ledger.records[.refund(refundID())] = nil
        let late = ledger.do(.refund(refundID(), Amount(2), expiry: last), now: removed + 1 - Limits.clockSkewMilliseconds)
        #expect(late == .anomaly(.untimelyRefund))
        #expect(ledger.state?.refunded == Amount(2))
    }

    @Test("a copy with a later expiry keeps the marker of a refund that is over for longer")
    func extend() throws {
        var ledger = sold()
        ledger.do(.refund(refundID(), Amount(2), expiry: expiry), now: now)
        ledger.do(.forgetRefund(refundID(), expiry: 0), now: now)
        let before = try #require(ledger.marker(refundID()))
        ledger.do(.refund(refundID(), Amount(2), expiry: before.expiry + 5), now: now)
        #expect(ledger.marker(refundID())?.expiry == before.expiry + 5)
        #expect(ledger.state?.refunded == Amount(2))
    }

    @Test("batch_init waits for a refund that is not over, and keeps its marker")
    func replace() {
        var ledger = sold()
        ledger.do(.refund(refundID(), Amount(2), expiry: expiry), now: now)
        #expect(ledger.do(.replace(balance: Amount(9), price: Amount(1))) == .hasHolds)
        ledger.do(.forgetRefund(refundID(), expiry: 0), now: now)
        #expect(ledger.do(.replace(balance: Amount(9), price: Amount(1))) == .done)
        #expect(ledger.marker(refundID()) != nil)
        #expect(ledger.do(.refund(refundID(), Amount(2), expiry: expiry), now: now) == .done)
        #expect(ledger.state?.balance == Amount(9) && ledger.isBalanced)
    }

    @Test("no bound refuses a credit of what was captured")
    func bounds() {
        var ledger = Ledger(balance: Limits.balance)
        if case .held(let grant) = ledger.do(.hold(sagaID(), Amount(5), mayWait: false)) {
            ledger.do(.capture(sagaID(), Amount(5), grant: grant))
        }
        ledger.do(.deposit(Amount(5)))
        #expect(ledger.do(.deposit(Amount(1))) == .overLimit)
        #expect(ledger.do(.refund(refundID(), Amount(5), expiry: 0)) == .done)
        #expect(ledger.state?.balance == Amount(Limits.balance + 5) && ledger.isBalanced)
        #expect(Ledger().records.isEmpty)
        var none = Ledger()
        #expect(none.do(.refund(refundID(), Amount(5), expiry: 0)) == .unknownAccount)
    }
}
