// Recovery after the restart of a shop that is alone: every open saga and refund goes on, and every hold or marker of a
// finished one is settled by asking its order. Nothing is repaired by hand, and nothing is guessed.

import KontorCore

/// Ends what a crash interrupted. Runs once, before the first request.
final class Recovery {
    private let shop: ShopParts
    private let completion: (Result<RecoveryReport, StoreError>) -> Void
    private let settlement: OrphanSettlement
    private var report = RecoveryReport()
    private var orphans: [Orphan] = []
    /// Markers of credits whose refund does not run here.
    private var credits: [OrphanedCredit] = []
    /// Orphans that could not be ended so far. Nothing waits for them but their amounts.
    private var notEnded: [Orphan] = []
    private var hasAlarmed = false
    private var pending = 0

    init(_ shop: ShopParts, completion: @escaping (Result<RecoveryReport, StoreError>) -> Void) {
        self.shop = shop
        settlement = OrphanSettlement(shop, holdsCanBeLate: false)
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
        } completion: { [self] error in
            if let error { completion(.failure(error)) } else { then() }
        }
    }

    private func visit(_ key: RecordKey, _ record: Record) {
        switch (key.member, record) {
        case (.saga, .saga(let saga)):
            report.sagasResumed += 1
            shop.orders.coordinator.drive(saga)
        case (.hold(let saga), .hold(let hold)) where !shop.orders.coordinator.ends(saga):
            orphans.append(Orphan(account: key.group, saga: saga, hold: hold))
        case (.refund, .refund(let refund)):
            report.sagasResumed += 1
            shop.orders.refunds.drive(refund)
        case (.refund(let refund), .marker) where !shop.orders.refunds.isRunning(refund):
            credits.append(OrphanedCredit(account: key.group, refund: refund))
        default:
            break
        }
    }

    private func settleOrphans() {
        pending = 1
        // Each reservation has some, so they may be many: some at a time.
        for _ in 0..<Limits.engineBatchCommands { settleNext() }
        for credit in credits {
            pending += 1
            settle(credit)
        }
        credits = []
        finishOne()
    }

    private func settleNext() {
        guard let orphan = orphans.popLast() else { return }
        pending += 1
        settle(orphan)
    }

    /// A marker is in nobody's way but a `batch_init`'s, so the start does not wait for one that cannot be settled now.
    private func settle(_ credit: OrphanedCredit) {
        settlement.settle(credit) { [self] result in
            switch result {
            case .settled: report.orphansSettled += 1
            case .sagaIsOpen: break
            case .unreadable, .notEnded: shop.agenda.addAtTick { self.settleLater(credit) }
            }
            finishOne()
        }
    }

    private func settleLater(_ credit: OrphanedCredit) {
        settlement.settle(credit) { [self] result in
            switch result {
            case .settled: shop.metrics.settledOrphans.increment()
            case .sagaIsOpen: break
            case .unreadable, .notEnded: shop.agenda.addAtTick { self.settleLater(credit) }
            }
        }
    }

    private func settle(_ orphan: Orphan) {
        settlement.settle(orphan) { [self] result in
            switch result {
            case .sagaIsOpen: finishOrphan()
            case .settled:
                report.orphansSettled += 1
                finishOrphan()
            case .unreadable:
                alarmOnce(orphan)
                shop.agenda.addAtTick { self.settle(orphan) }
            case .notEnded:
                endLater(orphan)
                finishOrphan()
            }
        }
    }

    /// In another step: an order that is in memory answers at once, and the stack must not grow with their number.
    private func finishOrphan() {
        shop.agenda.add { [self] in
            settleNext()
            finishOne()
        }
    }

    private func endLater(_ orphan: Orphan) {
        notEnded.append(orphan)
        if notEnded.count == 1 { shop.agenda.addAtTick { self.endNow() } }
    }

    /// Ends what could not be ended, once there is room. A shop on a full disk starts nevertheless: it can be read.
    private func endNow() {
        guard shop.store.admission == nil else { return shop.agenda.addAtTick { self.endNow() } }
        let orphans = notEnded
        notEnded = []
        for orphan in orphans {
            settlement.settle(orphan) { [self] result in
                switch result {
                case .settled: shop.metrics.settledOrphans.increment()
                case .sagaIsOpen: break
                case .unreadable, .notEnded: endLater(orphan)
                }
            }
        }
    }

    private func alarmOnce(_ orphan: Orphan) {
        if !hasAlarmed {
            shop.log.alarm(
                "Recovery waits: the order of a lock cannot be read, and without it the lock cannot be settled",
                ["saga": "\(orphan.saga)", "account": "\(orphan.account)"])
        }
        hasAlarmed = true
    }

    private func finishOne() {
        pending -= 1
        guard pending == 0 else { return }
        shop.metrics.resumedSagas.increment(by: report.sagasResumed)
        shop.metrics.settledOrphans.increment(by: report.orphansSettled)
        completion(.success(report))
    }
}

/// The outcome of a recovery.
public struct RecoveryReport: Hashable, Sendable {
    /// Open checkouts and refunds that were resumed.
    public var sagasResumed = 0
    /// Holds and markers of finished checkouts and refunds that were settled.
    public var orphansSettled = 0
}
