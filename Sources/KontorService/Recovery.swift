// What a restart owes: every saga that was open goes on, and every hold or marker whose saga has finished is settled by
// asking its order. Nothing is repaired by hand, and nothing is guessed.

import KontorCore

/// Brings the shop to where it would be without the crash. Runs once, before the first request.
final class Recovery {
    private let shop: Shop.Parts
    private let completion: (Result<RecoveryReport, StoreTrouble>) -> Void
    private var report = RecoveryReport()
    private typealias Orphan = (account: GroupKey, saga: SagaID, hold: Hold)

    private var orphans: [Orphan] = []
    private var hasAlarmed = false
    private var pending = 0

    init(_ shop: Shop.Parts, completion: @escaping (Result<RecoveryReport, StoreTrouble>) -> Void) {
        self.shop = shop
        self.completion = completion
    }

    func run() {
        scan(.order) { [self] in
            scan(.item) { [self] in
                scan(.user) { [self] in settleOrphans() }
            }
        }
    }

    private func scan(_ kind: GroupKey.Kind, then: @escaping () -> Void) {
        OpenWork.forEachPage(of: kind, in: shop.store, agenda: shop.agenda) { [self] page in
            for entry in page { visit(entry.key, entry.record) }
        } completion: { [self] trouble in
            if let trouble { completion(.failure(trouble)) } else { then() }
        }
    }

    private func visit(_ key: RecordKey, _ record: Record) {
        switch (key.member, record) {
        case (.saga, .saga(let saga)):
            report.sagasResumed += 1
            shop.orders.coordinator.drive(saga)
        case (.hold(let saga), .hold(let hold)) where !shop.orders.coordinator.isRunning(saga):
            orphans.append((key.group, saga, hold))
        default:
            break
        }
    }

    private func settleOrphans() {
        pending = 1
        for orphan in orphans {
            pending += 1
            ask(orphan)
        }
        finishOne()
    }

    private func ask(_ orphan: Orphan) {
        shop.orders.submit(OrderCommand(orphan.saga.order, .read)) { [self] reply in settle(orphan, order: reply) }
    }

    /// The saga is not open, so its order's status is final for it.
    private func settle(_ orphan: Orphan, order reply: Reply<OrderOutcome>) {
        guard !shop.orders.coordinator.isRunning(orphan.saga) else { return finishOne() }
        let isCommitted: Bool
        switch reply {
        case .decided(.order(let order)):
            isCommitted =
                order.status == .paid && order.incarnation == orphan.saga.incarnation
                && order.attempt == orphan.saga.attempt
        case .decided: isCommitted = false
        case .refused, .unknown, .keyed:
            if !hasAlarmed {
                shop.log.alarm(
                    "Recovery waits: the order of a lock cannot be read, and without it the lock cannot be settled",
                    ["saga": "\(orphan.saga)", "account": "\(orphan.account)"])
            }
            hasAlarmed = true
            return shop.agenda.addAtTick { self.ask(orphan) }
        }
        report.orphansSettled += 1
        if isCommitted == (orphan.hold.state == .released) && orphan.hold.state != .held {
            shop.metrics.contradictingLocks.increment()
            shop.log.alarm(
                "A finished saga left a lock that contradicts its order",
                ["saga": "\(orphan.saga)", "account": "\(orphan.account)", "hold": "\(orphan.hold.state)"])
        }
        let ledger = shop.ledger(orphan.account.kind)
        if orphan.hold.state == .held {
            let end: LedgerCommand.Operation =
                isCommitted
                ? .capture(orphan.saga, orphan.hold.amount) : .release(orphan.saga, orphan.hold.amount)
            ledger.submit(LedgerCommand(orphan.account, end)) { _ in }
        }
        ledger.submit(LedgerCommand(orphan.account, .forget(orphan.saga))) { [self] _ in finishOne() }
    }

    private func finishOne() {
        pending -= 1
        guard pending == 0 else { return }
        shop.metrics.resumedSagas.increment(by: report.sagasResumed)
        shop.metrics.settledOrphans.increment(by: report.orphansSettled)
        completion(.success(report))
    }
}

/// What recovery found.
public struct RecoveryReport: Hashable, Sendable {
    public var sagasResumed = 0
    public var orphansSettled = 0
}
