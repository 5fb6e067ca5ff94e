import TestSupport
import Testing

@testable import KontorCore

@Suite("Orders")
struct OrderTests {
    @Test("added units of one item merge, and removing takes one unit at a time")
    func items() {
        var book = OrderBook(items: ["a", "b", "a"])
        #expect(book.state?.itemUnits.map { "\($0.item):\($0.units.raw)" } == ["a:2", "b:1"])
        #expect(book.state?.total == Amount(300))
        #expect(book.do(.removeItem(id("a"))) == .done)
        #expect(book.do(.removeItem(id("a"))) == .done)
        #expect(book.do(.removeItem(id("a"))) == .unknownItem)
        #expect(book.state?.itemUnits.map { "\($0.item):\($0.units.raw)" } == ["b:1"])
        #expect(book.state?.total == Amount(100))
    }

    @Test("a price is taken when the item is added")
    func priceAtAdding() {
        var book = OrderBook(items: ["a"])
        book.do(.addItem(OrderLine(item: id("a"), units: Amount(2), price: Amount(250))))
        #expect(book.state?.total == Amount(600))
        #expect(book.state?.itemUnits.map { $0.units } == [Amount(3)])
        book.do(.removeItem(id("a")))
        #expect(book.state?.total == Amount(350))
    }

    @Test("price times units or a sum past the bound is refused and changes nothing")
    func overflow() {
        var book = OrderBook(items: ["a"])
        let before = book.records
        let huge = OrderLine(item: id("b"), units: Amount(Limits.unitsPerRequest), price: Amount(Limits.moneyHundredths))
        #expect(book.do(.addItem(huge)) == .overLimit(.cost))
        let full = OrderLine(item: id("b"), units: Amount(1), price: Amount(Limits.moneyHundredths))
        #expect(book.do(.addItem(full)) == .overLimit(.cost), "the order already costs something")
        #expect(book.records == before)
    }

    @Test("an order has a bounded number of lines")
    func lineBound() {
        var book = OrderBook(items: (0..<Limits.orderLines).map { "i\($0)" })
        #expect(book.do(.addItem(OrderLine(item: id("more"), units: Amount(1), price: .zero))) == .overLimit(.lines))
    }

    @Test("locks are taken by item id, the user last, and a total of zero locks nothing of the credit")
    func lockOrder() {
        var book = OrderBook(items: ["c", "a", "b", "a"])
        #expect(
            book.state?.legs.map { "\($0.account) \($0.amount.raw)" } == ["item a 2", "item b 1", "item c 1", "user u 400"])
        book.do(.replace(Order(user: id("u"), incarnation: 8)))
        book.do(.addItem(OrderLine(item: id("a"), units: Amount(1), price: .zero)))
        #expect(book.state?.legs.map { "\($0.account) \($0.amount.raw)" } == ["item a 1", "user u 0"])
    }

    @Test("an empty order is not checked out")
    func empty() {
        var book = OrderBook(items: [])
        #expect(book.do(.begin(deadline: 1)) == .isEmpty)
        book.do(.remove)
        #expect(book.do(.begin(deadline: 1)) == .isRemoved)
    }

    @Test("an order that is placed is locked by its checkout at once; one that is there stays as it is")
    func placed() {
        var book = OrderBook(items: [])
        book.records = [:]
        var order = Order(user: id("u"), incarnation: 9)
        #expect(order.add(OrderLine(item: id("a"), units: Amount(2), price: Amount(100))) == nil)
        let place = OrderCommand.Operation.place(order, now: 5, deadline: 9, nil)
        guard case .begun(let saga) = book.do(place) else { Issue.record("not begun"); return }
        #expect(saga.begun == 5 && saga.deadline == 9 && saga.legs == order.legs)
        #expect(book.state?.status == .checkingOut && book.state?.incarnation == 9)
        #expect(book.records[.saga] == .saga(saga))
        let before = book.records
        #expect(book.do(place) == .orderExists)
        #expect(book.records == before)

        var empty = OrderBook(items: [])
        empty.records = [:]
        #expect(empty.do(.place(Order(user: id("u"), incarnation: 9), now: 5, deadline: 9, nil)) == .isEmpty)
        #expect(empty.state?.status == .open && empty.records[.saga] == nil)
    }

    @Test("items do not change while the order is locked, paid or removed")
    func itemsAreLocked() {
        let change = OrderCommand.Operation.addItem(OrderLine(item: id("z"), units: Amount(1), price: .zero))
        var book = OrderBook(items: ["a"])
        guard case .begun(let saga) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
        for operation in [change, .removeItem(id("a")), .remove, .replace(Order(user: id("u"), incarnation: 9))] {
            #expect(book.do(operation) == .isCheckingOut)
        }
        book.do(.decide(saga.id, .commit))
        #expect(book.do(change) == .alreadyPaid)
        #expect(book.do(.replace(Order(user: id("u"), incarnation: 9))) == .isCheckingOut, "its captures still run")
        book.do(.finish(saga.id))
        #expect(book.do(.remove) == .alreadyPaid)

        var other = OrderBook(items: ["a"])
        #expect(other.do(.remove) == .done)
        #expect(other.do(.remove) == .done)
        #expect(other.do(change) == .isRemoved)
        #expect(other.do(.read) == .isRemoved)
    }

    @Test("of two decisions the first stands, and both coordinators learn it")
    func decisionIsCompareAndSet() {
        let refusal = AbortReason.contended(account: GroupKey(.item, id("a")))
        for (first, second) in [
            (Decision.commit, Decision.abort(refusal)), (.abort(refusal), .commit), (.retryInOrder, .commit),
        ] {
            var book = OrderBook(items: ["a"])
            guard case .begun(let saga) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
            guard case .decided(let decided) = book.do(.decide(saga.id, first)) else { Issue.record("not decided"); return }
            #expect(decided.phase == SagaRecord.Phase(first))
            #expect(book.do(.decide(saga.id, second)) == .decided(decided))
            #expect((book.state?.status == .paid) == (first == .commit))
        }
    }

    @Test("a decision or finish of an earlier attempt or incarnation has no effect")
    func staleSaga() {
        var book = OrderBook(items: ["a"])
        guard case .begun(let first) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
        book.do(.decide(first.id, .abort(.contended(account: GroupKey(.item, id("a"))))))
        book.do(.finish(first.id))
        guard case .begun(let second) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
        #expect(second.id.attempt == first.id.attempt + 1)
        #expect(book.do(.decide(first.id, .commit)) == .stale(.checkingOut))
        #expect(book.do(.finish(first.id)) == .stale(.checkingOut))
        #expect(book.state?.status == .checkingOut)
        let otherLife = SagaID(order: id("o"), incarnation: 99, attempt: second.id.attempt)
        #expect(book.do(.decide(otherLife, .commit)) == .stale(.checkingOut))
    }

    @Test("a checkout that runs is joined, one that is paid says so")
    func joins() {
        var book = OrderBook(items: ["a"])
        guard case .begun(let saga) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
        #expect(book.do(.begin(deadline: 2)) == .running(saga))
        book.do(.decide(saga.id, .commit))
        book.do(.finish(saga.id))
        #expect(book.do(.begin(deadline: 3)) == .alreadyPaid)
    }

    @Test("a paid order that is replaced leaves its receipt")
    func receipt() {
        var book = OrderBook(items: ["a"])
        guard case .begun(let saga) = book.do(.begin(deadline: 1)) else { Issue.record("not begun"); return }
        book.do(.decide(saga.id, .commit))
        book.do(.finish(saga.id))
        #expect(book.do(.replace(Order(user: id("v"), incarnation: 8))) == .done)
        #expect(book.records[.receipt(incarnation: 7)] != nil)
        #expect(book.state?.status == .open)
    }
}

extension SagaRecord.Phase {
    fileprivate init(_ decision: Decision) {
        switch decision {
        case .commit: self = .committed
        case .abort(let reason): self = .aborted(reason)
        case .retryInOrder: self = .retrying
        case .reserve: self = .reserved
        }
    }
}
