// A group in memory: applies commands one after the other, as a store would.

import TestSupport

@testable import KontorCore

func sagaID(_ attempt: UInt32 = 1, order: String = "o") -> SagaID {
    SagaID(order: id(order), incarnation: 7, attempt: attempt)
}

/// The committed records of one account.
struct Ledger {
    let account: GroupKey
    var records: [Member: Record] = [:]

    init(balance: Int64? = nil, account: GroupKey = GroupKey(.item, id("i"))) {
        self.account = account
        if let balance {
            self.do(.open(price: Amount(1)))
            if balance > 0 { self.do(.deposit(Amount(balance))) }
        }
    }

    /// - Parameter now: wall clock, if messages can be late.
    @discardableResult
    mutating func `do`(_ operation: LedgerCommand.Operation, now: Int64? = nil) -> LedgerOutcome {
        let command = LedgerCommand(account, operation)
        let readSet = LedgerRules.readSet(of: command)
        var draft = GroupDraft(readSet.group, now: now)
        draft.add(.head, records[.head])
        if let member = readSet.member { draft.add(member, records[member]) }
        for member in LedgerRules.furtherReads(of: command, head: records[.head]) { draft.add(member, records[member]) }
        let outcome = LedgerRules.decide(command, on: &draft)
        draft.forEachChange { member, record in records[member] = record }
        return outcome
    }

    /// The members that rules read.
    var unindexed: Set<Member> { Set(records.keys.filter { !$0.isIndexed }) }

    var state: Account? {
        if case .account(let account)? = records[.head] { account } else { nil }
    }

    func hold(_ saga: SagaID) -> Hold? {
        if case .hold(let hold)? = records[.hold(saga)] { hold } else { nil }
    }

    func marker(_ refund: RefundID) -> CreditMarker? {
        if case .marker(let marker)? = records[.refund(refund)] { marker } else { nil }
    }

    /// `balance == deposited - withdrawn - captured + refunded`, and what is held or reserved is that of the holds.
    var isBalanced: Bool {
        guard let state else { return true }
        var (held, reserved) = (Amount.zero, Amount.zero)
        for case .hold(let hold) in records.values where hold.state == .held {
            if hold.reservedUntil == 0 { held += hold.amount } else { reserved += hold.amount }
        }
        return state.balance == state.deposited - state.withdrawn - state.captured + state.refunded && state.held == held
            && state.reserved == reserved && state.locked <= state.balance && state.balance >= .zero
    }
}

/// The committed records of one order.
struct OrderBook {
    let order = id("o")
    var records: [Member: Record] = [:]

    @discardableResult
    mutating func `do`(_ operation: OrderCommand.Operation) -> OrderOutcome {
        let command = OrderCommand(order, operation)
        let readSet = OrderRules.readSet(of: command)
        var draft = GroupDraft(readSet.group)
        draft.add(.head, records[.head])
        if let member = readSet.member { draft.add(member, records[member]) }
        if OrderRules.mayReadFurther(command) {
            for member in OrderRules.furtherReads(of: command, head: records[.head]) { draft.add(member, records[member]) }
        }
        let outcome = OrderRules.decide(command, on: &draft)
        draft.forEachChange { member, record in records[member] = record }
        return outcome
    }

    /// An order of one user with one unit of each item at a price of 1.00.
    init(items: [String]) {
        self.do(.create(Order(user: id("u"), incarnation: 7)))
        for item in items { self.do(.addItem(OrderLine(item: id(item), units: Amount(1), price: Amount(100)))) }
    }

    var state: Order? {
        if case .order(let order)? = records[.head] { order } else { nil }
    }
}

/// Steps of a saga whose history does not matter.
extension OrderCommand.Operation {
    private static let noTrace = SagaTrace(after: 0, legs: [])

    static func begin(deadline: Int64) -> Self { .begin(now: 0, deadline: deadline, nil) }
    static func decide(_ saga: SagaID, _ decision: Decision) -> Self { .decide(saga, decision, noTrace) }
    static func finish(_ saga: SagaID) -> Self { .finish(saga, noTrace) }
}
