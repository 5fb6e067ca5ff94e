// The audit: sums that prove that nothing was created or lost. It shares no rule with the code that wrote the records.

import KontorCore

/// Adds up all records of a shop and names what does not balance.
///
/// Give it every record of one consistent cut with ``add(_:_:)``, in any order, then call ``endWalk()``, and again as
/// long as that asks for it. Its memory is that of the open work, and some megabytes: it does not grow with the number
/// of accounts. The first walk finds out whether an account is wrong, each further one which.
public struct Audit {
    private var sums = AccountSums()
    /// nil: the lists are not complete, or not among the records.
    private var lists: ListSums?
    /// nil in the first walk.
    private var search: Search?
    private var sagas: [SagaID: SagaRecord] = [:]
    private var checkingOut: [SagaID] = []
    /// By account and saga.
    private var holds: [RecordKey: Hold] = [:]
    private var refunds = RefundAudit()
    private var reservations = ReservationAudit()
    /// What was found so far.
    public private(set) var report = AuditReport()

    /// - Parameter hasLists: whether the records have complete lists.
    public init(hasLists: Bool = false) { lists = hasLists ? ListSums() : nil }

    /// Takes one record of the cut. Each must come once in each walk.
    public mutating func add(_ key: RecordKey, _ record: Record) {
        if search == nil { look(key, record) }
        switch (key.member, record) {
        case (.head, .account(let account)): put(.account(account), of: key.group)
        case (.head, .order(let order)) where order.status == .paid, (.receipt, .order(let order)):
            putPaid(order)
            putRefunds(order, key.group)
        case (.refund, .refund(let refund)), (.refunded, .refund(let refund)): putRefund(refund)
        case (.payment, .payment(let payment)):
            put(.paidDirectly(Amount(payment.amount.raw &+ payment.earlier.raw)), of: key.group)
        default: break
        }
    }

    /// Takes a record of the cut that is there and cannot be read.
    public mutating func add(unreadable key: RecordKey, _ reason: String) {
        if search == nil { report.add(.unreadableRecord, "\(key.group)", "its \(key.member) cannot be read: \(reason)") }
    }

    /// Ends a walk over the cut.
    ///
    /// - Returns: whether it needs another walk over the same records, to name what is wrong. If not, the report is
    ///   complete.
    public mutating func endWalk() -> Bool {
        if search == nil { lookAtOpenWork() }
        putOpenWork()
        if let search { name(search) }
        let wrong = search?.left ?? sums.wrong[...]
        guard report.hasRoom, !wrong.isEmpty else {
            report.addUnnamed(wrong.count)
            return false
        }
        search = Search(wrong, accounts: report.accounts)
        return true
    }

    /// Audits a cut that can be walked over again.
    ///
    /// - Parameters:
    ///   - hasLists: whether the records have complete lists.
    ///   - walk: calls its argument for each record of the cut, each time that it is called.
    public static func report(
        hasLists: Bool = false, _ walk: (_ body: (RecordKey, Record) -> Void) throws -> Void
    ) rethrows -> AuditReport {
        var audit = Audit(hasLists: hasLists)
        repeat { try walk { audit.add($0, $1) } } while audit.endWalk()
        return audit.report
    }
}

// MARK: Sums of accounts

extension Audit {
    /// A look at the accounts of some buckets, one by one.
    private struct Search {
        /// The wrong buckets that this walk does not examine.
        let left: ArraySlice<Int>
        private let examined: Set<Int>
        private(set) var tallies: [GroupKey: AccountTally] = [:]

        /// - Parameters:
        ///   - wrong: the wrong buckets that are not examined yet.
        ///   - accounts: those of the whole cut. As many buckets are examined as probably have `Limits.auditTallies`.
        init(_ wrong: ArraySlice<Int>, accounts: Int) {
            let count = max(1, Limits.auditTallies / max(1, accounts / Limits.auditBuckets))
            examined = Set(wrong.prefix(count))
            left = wrong.dropFirst(count)
        }

        mutating func add(_ entry: AccountEntry, of account: GroupKey) {
            guard examined.contains(AccountSums.bucket(account)) else { return }
            if tallies.count >= Limits.auditTallies, tallies[account] == nil { return }
            tallies[account, default: AccountTally()].add(entry)
        }
    }

    private mutating func put(_ entry: AccountEntry, of account: GroupKey) {
        if search == nil { sums.add(entry, of: account) } else { search?.add(entry, of: account) }
    }

    private mutating func putPaid(_ order: Order) {
        for line in order.lines { put(.owed(line.units), of: GroupKey(.item, line.item)) }
        if order.total > .zero { put(.owed(order.total), of: GroupKey(.user, order.user)) }
    }

    private mutating func putRefunds(_ order: Order, _ group: GroupKey) {
        guard order.refunds > 0 else { return }
        let refunded = RefundAudit.refunded(order)
        put(.refundedByLines(money: refunded.money, units: refunded.units), of: group)
    }

    private mutating func putRefund(_ refund: Refund) {
        for leg in refund.legs { put(.refunded(leg.amount), of: leg.account) }
        let given = RefundAudit.given(refund)
        put(.refundedByRefund(money: given.money, units: given.units), of: GroupKey(.order, refund.id.order))
    }

    private mutating func putOpenWork() {
        for (key, hold) in holds where hold.state == .held {
            put(hold.reservedUntil == 0 ? .held(hold.amount) : .reserved(hold.amount), of: key.group)
        }
        // A committed saga that is still open may not have captured all of its legs yet.
        for saga in sagas.values where saga.phase == .committed {
            for (leg, lock) in saga.locks where holds[lock]?.state == .held {
                put(.uncaptured(leg.amount), of: leg.account)
            }
        }
        for leg in refunds.uncredited { put(.uncredited(leg.amount), of: leg.account) }
    }

    /// Names what is wrong among the examined accounts.
    private mutating func name(_ search: Search) {
        let before = report.culprits.count
        let inOrder = search.tallies.sorted { ($0.key.kind.rawValue, $0.key.id) < ($1.key.kind.rawValue, $1.key.id) }
        for (account, tally) in inOrder { compare(account, tally) }
        if report.culprits.count == before {
            report.add(
                .wrongSum, "accounts", "what was captured or is held does not add up, and no account shows it: read them again")
        }
    }

    private mutating func compare(_ group: GroupKey, _ tally: AccountTally) {
        if group.kind == .order {
            if tally.refundDifference != (0, 0) {
                report.add(.wrongRefunded, "\(group)", "its lines say that more or less is refunded than its refunds")
            }
            return
        }
        guard let account = tally.account else {
            return report.add(.missingAccount, "\(group)", "orders, refunds, payments or holds need it, but it does not exist")
        }
        if account.held.raw != tally.held {
            report.add(.wrongHeld, "\(group)", "\(account.held.raw) is held, but its holds add up to \(tally.held)")
        }
        if account.reserved.raw != tally.reserved {
            report.add(
                .wrongHeld, "\(group)",
                "\(account.reserved.raw) is reserved, but its holds add up to \(tally.reserved)")
        }
        if account.captured.raw &- account.refunded.raw != tally.expected {
            report.add(
                .wrongCaptured, "\(group)",
                "\(account.captured.raw) was captured and \(account.refunded.raw) refunded, but paid orders and direct "
                    + "payments, less what is refunded of them, add up to \(tally.expected)")
        }
    }
}

// MARK: Single records, and open work

extension Audit {
    /// Counts a record, and looks at what must be true of it alone.
    private mutating func look(_ key: RecordKey, _ record: Record) {
        lists?.add(key, record)
        switch (key.member, record) {
        case (.head, .account(let account)): check(account, key.group)
        case (.head, .order(let order)):
            report.orders += 1
            if order.status == .paid { report.paidOrders += 1 }
            if order.status == .checkingOut {
                checkingOut.append(SagaID(order: key.group.id, incarnation: order.incarnation, attempt: order.attempt))
            }
            reservations.add(order, key.group)
            checkTotal(order, key.group)
            checkRefunded(order, key.group)
        case (.receipt, .order(let order)):
            checkRefunded(order, key.group)
            report.receipts += 1
            report.paidOrders += 1
        case (.saga, .saga(let saga)):
            sagas[saga.id] = saga
            reservations.add(saga)
        case (.due(let time), .listed): reservations.add(due: time, of: key.group)
        case (.hold, .hold(let hold)): holds[key] = hold
        case (.refund, .refund(let refund)):
            report.refunds += 1
            report.openRefunds += 1
            refunds.add(refund)
        case (.refunded, .refund): report.refunds += 1
        case (.refund, .marker(let marker)): refunds.add(key, marker)
        case (.payment, .payment), (.key, .key), (.trail, .trail), (.listed, .listed): break
        default:
            report.add(.misplacedRecord, "\(key.group)", "a record of the wrong kind lies at \(key.member)")
        }
    }

    private mutating func check(_ account: Account, _ group: GroupKey) {
        report.accounts += 1
        refunds.add(account, group)
        let (added, overflows) = account.deposited.raw.subtractingReportingOverflow(account.withdrawn.raw)
        let (kept, overflowsToo) = account.refunded.raw.subtractingReportingOverflow(account.captured.raw)
        let (expected, overflowsInAll) = added.addingReportingOverflow(kept)
        let isBeyond = overflows || overflowsToo || overflowsInAll
        if isBeyond || account.balance.raw != expected {
            report.add(
                .wrongBalance, "\(group)",
                "its balance is \(account.balance.raw), but put in - withdrawn - captured + refunded is "
                    + (isBeyond ? "beyond all bounds" : "\(expected)"))
        }
        let locked = account.held.raw.addingReportingOverflow(account.reserved.raw)
        if account.held < .zero || account.reserved < .zero || locked.overflow || locked.partialValue > account.balance.raw {
            report.add(
                .wrongHeld, "\(group)",
                "\(account.held.raw) is held and \(account.reserved.raw) reserved of a balance of \(account.balance.raw)")
        }
    }

    private mutating func checkTotal(_ order: Order, _ group: GroupKey) {
        var total: Int64? = 0
        for line in order.lines {
            let (cost, overflows) = line.units.raw.multipliedReportingOverflow(by: line.price.raw)
            let sum = total?.addingReportingOverflow(cost)
            total = overflows || sum?.overflow ?? true ? nil : sum?.partialValue
        }
        if total != order.total.raw {
            let text = total.map { "\($0)" } ?? "more than can be counted"
            report.add(.wrongTotal, "\(group)", "its lines cost \(text), its total is \(order.total.raw)")
        }
    }

    private mutating func checkRefunded(_ order: Order, _ group: GroupKey) {
        for line in order.lines where line.refunded < .zero || line.refunded > line.units {
            report.add(
                .wrongRefunded, "\(group)", "\(line.refunded.raw) units of \(line.item) are refunded, of \(line.units.raw)")
        }
        if order.refunds > 0, order.status != .paid {
            report.add(.wrongRefunded, "\(group)", "it has refunds, and is not paid")
        }
    }

    private mutating func lookAtOpenWork() {
        report.openSagas = sagas.count
        refunds.check(&report)
        reservations.check(holds, hasDues: lists != nil, &report)
        if let finding = lists?.finding { report.add(.wrongLists, "lists", finding) }
        for (key, hold) in holds {
            guard case .hold(let saga) = key.member else { continue }
            check(hold, of: saga, on: key.group, endedBy: sagas[saga] ?? reservations.saga(of: saga))
        }
        for saga in checkingOut where sagas[saga] == nil {
            report.add(.lockWithoutSaga, "order \(saga.order)", "it is locked for checkout, but no saga is open")
        }
        for saga in sagas.values where saga.phase == .committed {
            for (leg, lock) in saga.locks where holds[lock] == nil {
                report.add(.committedWithoutHold, "\(leg.account)", "saga \(saga.id) is committed, but its hold is gone")
            }
        }
    }

    /// - Parameter saga: the open saga that ends it; nil: none does.
    private mutating func check(_ hold: Hold, of id: SagaID, on account: GroupKey, endedBy saga: SagaRecord?) {
        switch hold.state {
        case .held:
            // A direct payment that is being made locks its amount, too, and has no saga.
            if saga == nil, !id.isPayment, !reservations.stands(id) {
                report.add(.lockWithoutSaga, "\(account)", "saga \(id) holds a part of it, but is not open")
            }
        case .captured:
            if let saga, saga.phase != .committed {
                report.add(.capturedUndecided, "\(account)", "saga \(id) captured it without a commit")
            }
        case .released:
            if saga?.phase == .committed {
                report.add(.releasedCommitted, "\(account)", "saga \(id) is committed, but released it")
            }
        }
    }
}
