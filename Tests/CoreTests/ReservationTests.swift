// The rules of reservations, in the order's group and in the accounts'.

import TestSupport
import Testing

@testable import KontorCore

extension OrderCommand.Operation {
    fileprivate static func reserve(until: Int64) -> Self { .reserve(now: 0, deadline: 10, until: until, nil) }
    fileprivate static func giveBack(at storesTime: Int64? = nil) -> Self {
        .giveBack(now: 0, deadline: 10, storesTime: storesTime, nil)
    }
}

extension OrderBook {
    /// Begins a saga, which must be possible.
    fileprivate mutating func begun(_ operation: OrderCommand.Operation) throws -> SagaRecord {
        let outcome = self.do(operation)
        guard case .begun(let saga) = outcome else { throw TestFailure("\(outcome)") }
        return saga
    }

    /// Reserves what the order needs.
    fileprivate mutating func reserved(until: Int64) throws {
        let saga = try begun(.reserve(until: until))
        self.do(.decide(saga.id, .reserve(until: until), SagaTrace(after: 0, legs: [trace(grant: 4), trace(grant: 9)])))
        self.do(.finish(saga.id))
    }

    private func trace(grant: UInt32) -> LegTrace {
        var trace = LegTrace()
        (trace.hold, trace.grant) = (.held, grant)
        return trace
    }

    /// When its reservation is found to be over.
    fileprivate var dues: Set<Int64> {
        Set(records.keys.compactMap { if case .due(let time) = $0 { time } else { nil } })
    }
}

@Suite("Reservations of an order")
struct OrderReservationTests {
    @Test("it locks the stock and not the credit, and is found by its end")
    func reserve() throws {
        var book = OrderBook(items: ["a", "b"])
        let saga = try book.begun(.reserve(until: 500))
        #expect(saga.legs.map(\.account) == [GroupKey(.item, id("a")), GroupKey(.item, id("b"))])
        #expect(saga.phase == .holdingTogether && saga.reservesUntil == 500 && saga.found == nil)
        #expect(book.dues.isEmpty && book.state?.status == .checkingOut)
        #expect(book.do(.reserve(until: 600)) == .running(saga))
        book = OrderBook(items: ["a", "b"])
        try book.reserved(until: 500)
        #expect(book.state?.status == .reserved && book.state?.state == .reserved && book.state?.reservedUntil == 500)
        #expect(book.state?.reservation == Reservation(attempt: 1, until: 500, grants: [4, 9]))
        #expect(book.dues == [500] && book.records[.saga] == nil)
        #expect(book.state?.history.attempts.last?.decision == .reserve(until: 500))
    }

    @Test("one that fails leaves the order open, and nothing to find")
    func failure() throws {
        var book = OrderBook(items: ["a"])
        let saga = try book.begun(.reserve(until: 500))
        book.do(.decide(saga.id, .abort(.contended(account: GroupKey(.item, id("a"))))))
        book.do(.finish(saga.id))
        #expect(book.state?.status == .open && book.state?.reservation == nil && book.dues.isEmpty)
    }

    @Test("what it takes to get the locks is not taken off its time, also in a second try")
    func slowLocks() throws {
        var book = OrderBook(items: ["a"])
        let saga = try book.begun(.reserve(until: 500))
        book.do(.decide(saga.id, .retryInOrder))
        guard case .begun(let second) = book.do(.beginAgain(saga.id, SagaTrace(after: 30, legs: []))) else {
            Issue.record("not begun again")
            return
        }
        #expect(second.reservesUntil == 530)
        guard case .decided(let decided) = book.do(.decide(second.id, .reserve(until: 530), SagaTrace(after: 7, legs: [])))
        else {
            Issue.record("not decided")
            return
        }
        #expect(decided.reservesUntil == 537 && book.dues == [537] && book.state?.reservation?.until == 537)
        #expect(book.state?.history.attempts.last?.decision == .reserve(until: 537))
    }

    @Test("again it is extended, and never shortened")
    func extend() throws {
        var book = OrderBook(items: ["a", "b"])
        try book.reserved(until: 500)
        let tag = book.state?.tag
        let longer = try book.begun(.reserve(until: 900))
        #expect(longer.phase == .reserved && longer.reservesUntil == 900 && longer.grants == [4, 9])
        #expect(longer.holder(ofLeg: 0) == sagaID(1) && longer.id == sagaID(2))
        #expect(book.dues == [900], "the old end is not found any more")
        book.do(.finish(longer.id))
        #expect(book.state?.reservation == Reservation(attempt: 1, until: 900, grants: [4, 9]))
        #expect(book.state?.tag != tag, "clients see another end")
        let shorter = try book.begun(.reserve(until: 100))
        #expect(shorter.reservesUntil == 900)
        book.do(.finish(shorter.id))
        #expect(book.dues == [900] && book.state?.status == .reserved)
    }

    @Test("it is given back when asked for, or by its end, and then once")
    func giveBack() throws {
        var book = OrderBook(items: ["a", "b"])
        #expect(book.do(.giveBack()) == .done, "nothing is held")
        try book.reserved(until: 500)
        #expect(book.do(.giveBack(at: 499)) == .isReserved(until: 500))
        let over = try book.begun(.giveBack(at: 500))
        #expect(over.phase == .aborted(.reservationEnded(isExpired: true)) && over.phase.result == .givenBack)
        #expect(over.legs.indices.allSatisfy { over.settles($0) && over.holder(ofLeg: $0) == sagaID(1) })
        #expect(book.dues.isEmpty, "it is found by its saga from now on")
        #expect(book.do(.giveBack(at: 500)) == .running(over))
        #expect(book.do(.begin(deadline: 10)) == .running(over))
        book.do(.finish(over.id))
        #expect(book.state?.status == .open && book.state?.reservation == nil)
        #expect(book.do(.giveBack()) == .done)
        try book.reserved(until: 700)
        let asked = try book.begun(.giveBack())
        #expect(asked.phase == .aborted(.reservationEnded(isExpired: false)))
    }

    @Test("a checkout finds the locks; bought, the order keeps their name")
    func buy() throws {
        var book = OrderBook(items: ["a", "b"])
        try book.reserved(until: 500)
        let saga = try book.begun(.begin(deadline: 10))
        #expect(saga.legs.count == 3 && saga.isFound(0) && saga.isFound(1) && !saga.isFound(2))
        #expect(saga.holder(ofLeg: 1) == sagaID(1) && saga.holder(ofLeg: 2) == sagaID(2))
        #expect(book.do(.giveBack(at: 500)) == .running(saga), "a checkout that has begun goes first")
        #expect(book.dues == [500])
        let grants: [UInt32] = [0, 0, 3]
        let traces = grants.map { grant in
            var trace = LegTrace()
            trace.grant = grant
            return trace
        }
        guard case .decided(let paid) = book.do(.decide(saga.id, .commit, SagaTrace(after: 1, legs: traces))) else {
            Issue.record("not decided")
            return
        }
        #expect(paid.grants == [4, 9, 3], "those of the reservation, and its own")
        #expect(book.dues.isEmpty)
        book.do(.finish(saga.id))
        let order = try #require(book.state)
        #expect(order.status == .paid && order.isReserved(by: sagaID(1)) && order.reservedUntil == nil)
        #expect(book.do(.giveBack()) == .alreadyPaid)
        #expect(book.do(.reserve(until: 900)) == .alreadyPaid)
    }

    @Test("a checkout that fails lets the reservation stand, also in its second try")
    func keep() throws {
        var book = OrderBook(items: ["a", "b"])
        try book.reserved(until: 500)
        let saga = try book.begun(.begin(deadline: 10))
        book.do(.decide(saga.id, .retryInOrder))
        guard case .begun(let second) = book.do(.beginAgain(saga.id, SagaTrace(after: 1, legs: []))) else {
            Issue.record("not begun again")
            return
        }
        #expect(second.found == saga.found && second.holder(ofLeg: 0) == sagaID(1) && second.id == sagaID(3))
        book.do(.decide(second.id, .abort(.contended(account: GroupKey(.user, id("u"))))))
        guard case .saga(let aborted)? = book.records[.saga] else { Issue.record("no saga"); return }
        #expect(!aborted.settles(0) && !aborted.settles(1) && aborted.settles(2), "only its own lock goes")
        book.do(.finish(second.id))
        #expect(book.state?.status == .reserved && book.state?.reservedUntil == 500 && book.dues == [500])
    }

    @Test("a reserved order is not changed, refunded or replaced")
    func locked() throws {
        var book = OrderBook(items: ["a", "b"])
        try book.reserved(until: 500)
        let line = OrderLine(item: id("c"), units: Amount(1), price: Amount(1))
        for operation: OrderCommand.Operation in [
            .addItem(line), .setLines([line]), .removeItem(id("a")), .remove, .replace(Order(user: id("u"), incarnation: 8)),
        ] {
            #expect(book.do(operation) == .isReserved(until: 500))
        }
        #expect(book.do(.refund()) == .notPaid)
    }

    @Test("an order that is empty, removed or not there is not reserved")
    func refusals() {
        var empty = OrderBook(items: [])
        #expect(empty.do(.reserve(until: 500)) == .isEmpty)
        empty.do(.remove)
        #expect(empty.do(.reserve(until: 500)) == .isRemoved)
        #expect(empty.do(.giveBack()) == .isRemoved)
        empty.records = [:]
        #expect(empty.do(.reserve(until: 500)) == .unknownOrder)
        #expect(empty.do(.giveBack()) == .unknownOrder)
    }
}

@Suite("Reservations of an account")
struct LedgerReservationTests {
    private func held(_ amount: Int64, of balance: Int64, _ attempt: UInt32 = 1) -> Ledger {
        var ledger = Ledger(balance: balance)
        ledger.do(.hold(sagaID(attempt), Amount(amount), mayWait: false))
        return ledger
    }

    private func reserve(_ amount: Int64, until: Int64, grant: UInt32 = 1, _ attempt: UInt32 = 1) -> LedgerCommand.Operation {
        .reserve(sagaID(attempt), Amount(amount), grant: grant, until: until)
    }

    @Test("what is reserved is refused at once, and what is undecided waited for; a copy changes nothing")
    func refusals() {
        var ledger = held(3, of: 5)
        #expect(ledger.do(.hold(sagaID(2), Amount(3), mayWait: false)) == .contended(balance: Amount(5)))
        #expect(ledger.do(reserve(3, until: 9_000)) == .done)
        #expect(ledger.do(reserve(3, until: 9_000)) == .done)
        #expect(ledger.do(reserve(3, until: 8_000)) == .done, "a late copy from before it was extended")
        #expect(ledger.state?.held == .zero && ledger.state?.reserved == Amount(3) && ledger.isBalanced)
        #expect(ledger.do(.hold(sagaID(2), Amount(3), mayWait: true)) == .reserved(until: 9_000))
        #expect(ledger.do(.withdraw(Amount(3))) == .reserved(until: 9_000))
        #expect(ledger.do(.hold(sagaID(2), Amount(6), mayWait: true)) == .insufficient(balance: Amount(5)))
        #expect(ledger.do(.replace(balance: Amount(1), price: Amount(1))) == .reserved(until: 9_000))
        #expect(ledger.do(.hold(sagaID(2), Amount(2), mayWait: false)) == .held(grant: 2))
        let waits = ledger.do(.hold(sagaID(3), Amount(1), mayWait: false))
        #expect(waits == .contended(balance: Amount(5)), "what is not reserved is held, undecided")
        #expect(ledger.do(.release(sagaID(2), Amount(2))) == .done)
        #expect(ledger.isBalanced)
    }

    @Test("the end that is told is that of the first to end, as far as a record of constant size can tell")
    func ends() {
        var ledger = Ledger(balance: 10)
        for attempt: UInt32 in 1...3 {
            ledger.do(.hold(sagaID(attempt), Amount(2), mayWait: false))
            ledger.do(reserve(2, until: Int64(10 - attempt) * 1_000, grant: attempt, attempt))
        }
        #expect(ledger.do(.withdraw(Amount(5))) == .reserved(until: 7_000))
        ledger.do(.release(sagaID(3), Amount(2)))
        #expect(ledger.do(.withdraw(Amount(7))) == .reserved(until: 7_000), "a lower bound")
        ledger.do(.release(sagaID(2), Amount(2)))
        ledger.do(reserve(2, until: 20_000, grant: 1))
        #expect(ledger.do(.withdraw(Amount(9))) == .reserved(until: 20_000))
        ledger.do(.release(sagaID(1), Amount(2)))
        #expect(ledger.state?.reserved == .zero && ledger.state?.reservedUntil == 0 && ledger.isBalanced)
        #expect(ledger.do(.withdraw(Amount(9))) == .done)
    }

    @Test("it is captured, released or undone as any lock", arguments: 0..<3)
    func end(_ way: Int) {
        var ledger = held(3, of: 5)
        ledger.do(reserve(3, until: 9_000))
        switch way {
        case 0:
            #expect(ledger.do(.capture(sagaID(), Amount(3), grant: 1)) == .done)
            #expect(ledger.do(reserve(3, until: 9_900)) == .done, "a late copy")
            #expect(ledger.state?.balance == Amount(2))
        case 1:
            #expect(ledger.do(.release(sagaID(), Amount(3))) == .done)
            #expect(ledger.do(reserve(3, until: 9_900)) == .anomaly(.captureAfterRelease))
        default: #expect(ledger.do(.undo(sagaID())) == .done)
        }
        #expect(ledger.state?.reserved == .zero && ledger.state?.held == .zero && ledger.isBalanced)
    }

    @Test("a copy that comes when all is over does nothing; one without its hold is lost data")
    func lateCopies() {
        var ledger = held(3, of: 5)
        ledger.do(.release(sagaID(), Amount(3), expiry: 5))
        ledger.do(.forget(sagaID()), now: 1_000_000)
        #expect(ledger.hold(sagaID()) == nil)
        #expect(ledger.do(reserve(3, until: 9_000), now: 1_000_000) == .done)
        #expect(ledger.do(reserve(3, until: 9_000, grant: 7), now: 1_000_000) == .anomaly(.captureWithoutHold))
        #expect(ledger.do(reserve(3, until: 9_000)) == .anomaly(.captureWithoutHold))
        #expect(ledger.state?.reserved == .zero && ledger.isBalanced)
        var other = held(3, of: 5)
        #expect(other.do(reserve(2, until: 9_000)) == .anomaly(.differentAmount))
    }
}

@Suite("When reservations are over")
struct DueTests {
    @Test("the first to end come first, behind all lists")
    func order() throws {
        func bytes(_ order: String, _ time: Int64) -> [UInt8] {
            RecordKey(GroupKey(.order, id(order)), .due(time)).indexKeys[0]
        }
        let keys = [
            bytes("z", 0), bytes("a", 255), bytes("b", 256), bytes("a", 1_700_000_000_000), bytes("a", Limits.latestTime),
        ]
        #expect(keys == keys.sorted { $0.lexicographicallyPrecedes($1) })
        #expect(keys.allSatisfy { IndexRange.dues(behind: nil).contains($0) })
        let second = IndexRange.dues(behind: RecordKey(GroupKey(.order, id("a")), .due(255)))
        #expect(keys.map(second.contains) == [false, false, true, true, true])
        #expect(!second.isOfLists && IndexRange.list(of: .order, behind: nil).isOfLists)
        for kind in GroupKey.Kind.allCases {
            #expect(!keys.contains { IndexRange.list(of: kind, behind: nil).contains($0) })
        }
        #expect(!keys.contains { IndexRange.orders(of: id("a"), behind: nil).contains($0) })
    }
}
