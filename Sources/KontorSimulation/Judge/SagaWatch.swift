// Watches the sagas of a world from outside: their locks and decisions as they are committed, and the processes that
// drive them.

import KontorCore
import KontorService

/// Records how long each lock stood, checks that none outlives its saga, and sees which processes drive the same saga.
final class SagaWatch {
    private struct Lock {
        let saga: SagaID
        let from: Int64
        var until = Int64.max
    }

    /// What processes did about one saga, by their writer numbers.
    private struct Drive {
        var senders: Set<UInt64> = []
        var lastSender: UInt64?
        /// When each process first asked for locks.
        var asked: [UInt64: Int64] = [:]
        var decision: (writer: UInt64, time: Int64)?
        /// The processes whose own decision did not stand.
        var refused: Set<UInt64> = []
        var isRace = false
    }

    private unowned let world: Surroundings
    private let payments: PaymentWatch
    private let takesLateCopies: Bool
    private var locks: [GroupKey: [Lock]] = [:]
    private var held: [SagaID: Set<GroupKey>] = [:]
    /// The accounts whose lock of a saga was committed or read since the last crash, whatever became of it.
    private var known: [SagaID: Set<GroupKey>] = [:]
    private var open: [Identifier: SagaRecord] = [:]
    /// The latest time by the clock that decides when a reservation of this group is over, milliseconds since 1970.
    var latestTime: (GroupKey) -> Int64 = { _ in .max }
    private var drives: [SagaID: Drive] = [:]
    /// When undecided checkouts and reservations began: somebody must have waited for each.
    private(set) var beginnings: [(order: Identifier, time: Int64)] = []
    /// The open refunds of each order, with the processes that drive them.
    private var refunds: [Identifier: [RefundID: UInt64]] = [:]
    /// The pauses that are long enough for others to take over.
    private var sleeps: [UInt64: [(from: Int64, until: Int64)]] = [:]

    /// - Parameter takesLateCopies: whether clocks are so wrong that a hold may be accepted after its release was
    ///   answered.
    init(_ world: Surroundings, takesLateCopies: Bool) {
        self.world = world
        payments = PaymentWatch { [unowned world] in world.violation($0) }
        self.takesLateCopies = takesLateCopies
    }

    /// The checkouts that have begun and not ended.
    var openSagas: Set<SagaID> { Set(open.values.map(\.id)) }

    // MARK: Locks

    /// Takes a commit.
    ///
    /// - Parameter writer: the process that committed it, where there are several.
    func committed(_ change: GroupChange, by writer: UInt64 = 0) {
        change.draft.forEachChange { member, record in
            if member == .saga, let saga = open[change.group.id], record?.saga?.id != saga.id { ended(saga) }
            if member == .saga, open[change.group.id] == nil, record?.saga?.phase.isDecided == false {
                beginnings.append((change.group.id, world.scheduler.now))
            }
            note(RecordKey(change.group, member), record)
            if case .saga(let saga)? = record, saga.phase == .committed, saga.legs.count > 200 {
                world.coverage[.largeBasketPaid] += 1
            }
            if case .saga(let saga)? = record { noteReservation(saga, change.group) }
            if case .saga(let saga)? = record, saga.phase.isDecided, drives[saga.id]?.decision == nil {
                drives[saga.id, default: Drive()].decision = (writer, world.scheduler.now)
            }
        }
        if change.draft.isChanged(.head), case .order(let order)? = change.draft[.head] { noteOrder(order, change.group.id) }
    }

    /// Notes what a saga does with a reservation.
    private func noteReservation(_ saga: SagaRecord, _ order: GroupKey) {
        switch saga.phase {
        case .reserved: world.coverage[saga.found == nil ? .reserved : .reservationExtended] += 1
        case .committed where saga.found != nil: world.coverage[.reservationBought] += 1
        case .aborted(.reservationEnded(let isExpired)):
            world.coverage[isExpired ? .reservationExpired : .reservationGivenBack] += 1
            if isExpired, let found = saga.found, found.until > latestTime(order) {
                world.violation(
                    "the reservation of \(order) is given back \(found.until - latestTime(order)) ms before its end")
            }
        case .aborted where saga.found != nil: world.coverage[.reservationKept] += 1
        default: break
        }
    }

    /// Checks that no order is replaced while a refund of it is under way.
    private func noteOrder(_ order: Order, _ id: Identifier) {
        guard refunds[id]?.keys.contains(where: { $0.incarnation != order.incarnation }) == true else { return }
        world.violation("order \(id) was replaced in the midst of its refund")
    }

    private func noteRefund(_ id: RefundID, _ record: Record?) {
        guard case .refund(let refund)? = record else {
            refunds[id.order]?[id] = nil
            return
        }
        if let before = refunds[id.order]?[id], before != refund.driver { world.coverage[.refundTakenOver] += 1 }
        refunds[id.order, default: [:]][id] = refund.driver
        if refunds[id.order]?.count ?? 0 > 1 { world.coverage[.refundsRaced] += 1 }
    }

    /// Takes a record as it is read: after a crash it may be older than what was committed.
    func note(_ key: RecordKey, _ record: Record?) {
        payments.note(key, record)
        switch key.member {
        case .saga: open[key.group.id] = record?.saga
        case .hold(let saga):
            known[saga, default: []].insert(key.group)
            if case .hold(let hold)? = record, hold.state == .held { lock(key.group, saga) } else { unlock(key.group, saga) }
            if saga.isPayment { notePayment(saga, record) }
        case .refund(let refund) where key.group.kind == .order: noteRefund(refund, record)
        default: break
        }
    }

    /// Ends all locks after a crash: commits may be lost. What is left is noted when it is read again.
    func crash() {
        for (saga, accounts) in held { for account in accounts { unlock(account, saga) } }
        known = [:]
        open = [:]
        drives = [:]
        refunds = [:]
        payments.crash()
    }

    private func notePayment(_ lock: SagaID, _ record: Record?) {
        guard case .hold(let hold)? = record else { return }
        if hold.state == .released { world.coverage[.paymentUndone] += 1 }
        if hold.state == .held, open[lock.order] != nil { world.coverage[.paymentMetCheckout] += 1 }
    }

    private func lock(_ account: GroupKey, _ saga: SagaID) {
        guard held[saga, default: []].insert(account).inserted else { return }
        locks[account, default: []].append(Lock(saga: saga, from: world.scheduler.now))
    }

    private func unlock(_ account: GroupKey, _ saga: SagaID) {
        guard held[saga]?.remove(account) != nil else { return }
        if held[saga]?.isEmpty == true { held[saga] = nil }
        guard let place = locks[account]?.lastIndex(where: { $0.saga == saga }) else { return }
        locks[account]?[place].until = world.scheduler.now
    }

    /// Checks that compensation is never skipped: a saga's record goes only when all of its locks are gone.
    private func ended(_ saga: SagaRecord) {
        if takesLateCopies { return }
        for leg in saga.legs.indices {
            let account = saga.legs[leg].account
            let holder = saga.holder(ofLeg: leg)
            let isHeld = held[holder]?.contains(account) == true
            // What is reserved stays so, unless it is bought or given back.
            let stays =
                switch saga.phase {
                case .reserved: true
                case .committed, .aborted(.reservationEnded): false
                default: saga.isFound(leg)
                }
            if isHeld && !stays { world.violation("the checkout \(saga.id) is over, and its lock stays on \(account)") }
            if stays && !isHeld && known[holder]?.contains(account) == true {
                world.violation("the saga \(saga.id) is over, and \(account) is not reserved any more")
            }
        }
    }

    /// Whether another order's checkout, or a direct payment, had a lock on an account at some moment from `start` to
    /// `end`.
    func isLocked(_ account: GroupKey, byOthersThan order: String?, from start: Int64, to end: Int64) -> Bool {
        locks[account]?.contains { lock in
            lock.from <= end && lock.until >= start && (lock.saga.order.text != order || lock.saga.isPayment)
        } ?? false
    }

    // MARK: Who drives

    /// Notes that a process sends a message of a saga.
    func sent(_ operation: LedgerCommand.Operation, by process: UInt64) {
        switch operation {
        case .hold(let saga, _, _, _):
            drive(saga, process)
            if drives[saga]?.asked[process] == nil { drives[saga]?.asked[process] = world.scheduler.now }
        case .capture(let saga, _, _), .release(let saga, _, _), .reserve(let saga, _, _, _):
            drive(saga, process)
            // The process asked for locks while the saga was undecided, and acts now on another process's decision: so
            // its own decision met that one.
            if let decision = drives[saga]?.decision, decision.writer != process { refuse(saga, process) }
        default: break
        }
    }

    private func drive(_ saga: SagaID, _ process: UInt64) {
        var drive = drives[saga] ?? Drive()
        // The process sent something, then another one did, and now it does again.
        if drive.senders.contains(process), drive.lastSender != process, !drive.isRace, open[saga.order]?.id == saga {
            drive.isRace = true
            world.coverage[.recoveryRace] += 1
        }
        drive.senders.insert(process)
        drive.lastSender = process
        drives[saga] = drive
    }

    /// Notes a commit that met a conflict: the saga may be decided by another process already, or be over.
    func conflicted(_ change: GroupChange, by process: UInt64) {
        change.draft.forEachChange { _, record in
            guard case .saga(let saga)? = record, saga.phase.isDecided else { return }
            let isDecided = drives[saga.id]?.decision.map { $0.writer != process } ?? false
            if isDecided || open[change.group.id]?.id != saga.id { refuse(saga.id, process) }
        }
    }

    private func refuse(_ saga: SagaID, _ process: UInt64) {
        guard let drive = drives[saga], let asked = drive.asked[process], !drive.refused.contains(process) else { return }
        drives[saga]?.refused.insert(process)
        world.coverage[.decisionRefused] += 1
        let decided = drive.decision?.time ?? world.scheduler.now
        let isZombie = sleeps[process]?.contains { asked <= $0.from && $0.from <= decided && $0.until <= world.scheduler.now }
        if isZombie == true { world.coverage[.zombieRefused] += 1 }
    }

    func slept(_ process: UInt64, _ duration: Int64) {
        guard duration >= .milliseconds(Limits.takeoverAgeMilliseconds) else { return }
        sleeps[process, default: []].append((world.scheduler.now, world.scheduler.now + duration))
    }
}

extension Record {
    fileprivate var saga: SagaRecord? { if case .saga(let saga) = self { saga } else { nil } }
}

extension SagaRecord.Phase {
    fileprivate var isDecided: Bool {
        switch self {
        case .committed, .aborted, .retrying, .reserved: true
        case .holdingTogether, .holdingInOrder: false
        }
    }
}
