// The audit: sums that prove that nothing was created or lost. It shares no rule with the code that wrote the records.

import KontorCore

/// Adds up all records of a shop and names what does not balance.
///
/// Give it every record of one consistent cut with ``add(_:_:)``, in any order, then call ``finish()``. It needs memory
/// for one entry per account, hold and open saga.
public struct Audit {
    /// Sums that must agree for one account. They have 128 bits, so that no record, however damaged, makes them
    /// overflow.
    private struct Tally {
        var account: Account?
        var held: Int128 = 0
        /// Captured by sagas that have not finished.
        var capturedByOpen: Int128 = 0
        /// What paid orders owe. If such an order's saga is open, its captures may still be on their way.
        var owedByPaid: Int128 = 0
        var directPayments: Int128 = 0
    }

    private var tallies: [GroupKey: Tally] = [:]
    private var sagas: [SagaID: SagaRecord] = [:]
    private var checkingOut: [(id: Identifier, order: Order)] = []
    /// By account and saga.
    private var holds: [RecordKey: Hold] = [:]
    private var report = AuditReport()

    public init() {}

    /// Takes one record of the cut. Each must come once.
    public mutating func add(_ key: RecordKey, _ record: Record) {
        switch (key.member, record) {
        case (.head, .account(let account)):
            tallies[key.group, default: Tally()].account = account
            check(account, key.group)
        case (.head, .order(let order)):
            report.orders += 1
            if order.status == .paid { addPaid(order) }
            if order.status == .checkingOut { checkingOut.append((key.group.id, order)) }
            checkTotal(order, key.group)
        case (.receipt, .order(let order)):
            report.receipts += 1
            addPaid(order)
        case (.payment, .payment(let payment)):
            tallies[key.group, default: Tally()].directPayments += payment.amount.wide + payment.earlier.wide
        case (.saga, .saga(let saga)):
            sagas[saga.id] = saga
        case (.hold, .hold(let hold)):
            holds[key] = hold
        case (.key, .key): break
        default:
            report.add(.misplacedRecord, "\(key.group)", "a record of the wrong kind lies at \(key.member)")
        }
    }

    /// Takes a record that is there and cannot be read.
    public mutating func add(unreadable key: RecordKey, _ reason: String) {
        report.add(.unreadableRecord, "\(key.group)", "its \(key.member) cannot be read: \(reason)")
    }

    /// Compares the sums.
    public mutating func finish() -> AuditReport {
        report.openSagas = sagas.count
        for (key, hold) in holds {
            if case .hold(let saga) = key.member { check(hold, of: saga, on: key.group) }
        }
        for (id, order) in checkingOut {
            let saga = SagaID(order: id, incarnation: order.incarnation, attempt: order.attempt)
            if sagas[saga] == nil {
                report.add(.lockWithoutSaga, "order \(id)", "it is locked for checkout, but no saga is open")
            }
        }
        for saga in sagas.values where saga.phase == .committed { addUncaptured(of: saga) }
        let inOrder = tallies.sorted { ($0.key.kind.rawValue, $0.key.id) < ($1.key.kind.rawValue, $1.key.id) }
        for (account, tally) in inOrder { compare(account, tally) }
        return report
    }
}

extension Audit {
    private mutating func addPaid(_ order: Order) {
        report.paidOrders += 1
        for line in order.lines { tallies[GroupKey(.item, line.item), default: Tally()].owedByPaid += line.units.wide }
        if order.total > .zero { tallies[GroupKey(.user, order.user), default: Tally()].owedByPaid += order.total.wide }
    }

    private mutating func check(_ account: Account, _ group: GroupKey) {
        report.accounts += 1
        let expected = account.deposited.wide - account.withdrawn.wide - account.captured.wide
        if account.balance.wide != expected {
            report.add(
                .wrongBalance, "\(group)",
                "its balance is \(account.balance.raw), but put in - withdrawn - captured is \(expected)")
        }
        if account.held < .zero || account.held > account.balance {
            report.add(.wrongHeld, "\(group)", "\(account.held.raw) is held of a balance of \(account.balance.raw)")
        }
    }

    private mutating func checkTotal(_ order: Order, _ group: GroupKey) {
        let total = order.lines.reduce(0) { $0 + $1.units.wide * $1.price.wide }
        if total != order.total.wide {
            report.add(.wrongTotal, "\(group)", "its lines cost \(total), its total is \(order.total.raw)")
        }
    }

    private mutating func check(_ hold: Hold, of id: SagaID, on account: GroupKey) {
        let saga = sagas[id]
        switch hold.state {
        case .held:
            tallies[account, default: Tally()].held += hold.amount.wide
            // A direct payment that is being made locks its amount, too, and has no saga.
            if saga == nil, !id.isPayment {
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

    /// A committed saga that is still open may not have captured all of its legs yet.
    private mutating func addUncaptured(of saga: SagaRecord) {
        for leg in saga.legs {
            switch holds[RecordKey(leg.account, .hold(saga.id))]?.state {
            case .held: tallies[leg.account, default: Tally()].capturedByOpen += leg.amount.wide
            case .captured, .released: break
            case nil:
                report.add(.committedWithoutHold, "\(leg.account)", "saga \(saga.id) is committed, but its hold is gone")
            }
        }
    }

    private mutating func compare(_ group: GroupKey, _ tally: Tally) {
        guard let account = tally.account else {
            if tally.owedByPaid > 0 || tally.directPayments > 0 {
                report.add(.missingAccount, "\(group)", "paid orders need it, but it does not exist")
            }
            return
        }
        if account.held.wide != tally.held {
            report.add(.wrongHeld, "\(group)", "\(account.held.raw) is held, but its holds add up to \(tally.held)")
        }
        let expected = tally.owedByPaid + tally.directPayments - tally.capturedByOpen
        if account.captured.wide != expected {
            report.add(
                .wrongCaptured, "\(group)",
                "\(account.captured.raw) was captured, but paid orders and direct payments add up to \(expected)")
        }
    }
}

extension Amount {
    fileprivate var wide: Int128 { Int128(raw) }
}

/// The outcome of an audit.
public struct AuditReport: Hashable, Sendable {
    /// What can be wrong with an account or an order.
    public enum Finding: String, Sendable {
        case wrongBalance, wrongHeld, wrongCaptured, wrongTotal, lockWithoutSaga, capturedUndecided, releasedCommitted
        case committedWithoutHold, missingAccount, misplacedRecord, unreadableRecord
    }

    /// One thing that is wrong, and where.
    public struct Culprit: Hashable, Sendable {
        public let finding: Finding
        /// The account or order.
        public let subject: String
        /// The numbers that contradict each other, in words.
        public let detail: String
    }

    /// Accounts of the cut.
    public var accounts = 0
    /// Orders of the cut, without receipts.
    public var orders = 0
    /// Paid orders, receipts included.
    public var paidOrders = 0
    /// The paid orders that `batch_init` has replaced since.
    public var receipts = 0
    /// Checkouts that had not ended.
    public var openSagas = 0
    public var culprits: [Culprit] = []

    /// Whether the books balance.
    public var isClean: Bool { culprits.isEmpty }

    mutating func add(_ finding: Finding, _ subject: String, _ detail: String) {
        culprits.append(Culprit(finding: finding, subject: subject, detail: detail))
    }
}
