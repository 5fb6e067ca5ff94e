// Where several processes share a store: removes what sagas leave behind, in the background. Markers must outlive every
// message that can still arrive, but not stay for ever, and a hold that came late must not keep its lock.

import KontorCore

/// Scans all holds and markers, again and again.
final class OrphanScan {
    private let shop: ShopParts
    private let kinds: [GroupKey.Kind]
    private let clock: any ShopClock
    private let settlement: OrphanSettlement
    private var isRunning = false
    private var nextPass: Int64 = .min

    /// - Parameter kinds: the ledgers that it scans.
    init(_ shop: ShopParts, of kinds: [GroupKey.Kind]) {
        self.shop = shop
        self.kinds = kinds
        clock = shop.clock
        settlement = OrphanSettlement(shop, holdsCanBeLate: true)
    }

    func tick(now: Int64) {
        guard !isRunning, now >= nextPass else { return }
        isRunning = true
        nextPass = now + Limits.orphanScanMilliseconds
        scan(kinds[...])
    }

    private func scan(_ kinds: ArraySlice<GroupKey.Kind>) {
        guard let kind = kinds.first else { return isRunning = false }
        scan(kind) { [self] in scan(kinds.dropFirst()) }
    }

    /// Scans one ledger. If it cannot be read now, the next pass scans it.
    private func scan(_ kind: GroupKey.Kind, then: @escaping () -> Void) {
        OpenWork.forEachPage(of: kind, in: shop.store, agenda: shop.agenda) { [self] page, next in
            if page.isEmpty { next() } else { settle(page, then: next) }
        } completion: { _ in
            then()
        }
    }

    /// Settles one page, one page a tick: other work goes first, and what is under way stays bounded.
    private func settle(_ page: OpenWork.Page, then: @escaping () -> Void) {
        var pending = 1
        func endOne() {
            pending -= 1
            if pending == 0 { shop.agenda.addAtTick(then) }
        }
        for orphan in page.compactMap(due) {
            pending += 1
            settlement.settle(orphan) { [self] result in
                if result == .settled, orphan.hold.state == .held { shop.metrics.settledOrphans.increment() }
                endOne()
            }
        }
        for credit in page.compactMap(dueCredit) {
            pending += 1
            settlement.settle(credit) { [self] result in
                if result == .settled { shop.metrics.settledOrphans.increment() }
                endOne()
            }
        }
        endOne()
    }

    /// The marker of a credit whose refund may be over; nil: it is too early to ask, or the marker goes by itself.
    private func dueCredit(_ key: RecordKey, _ record: Record) -> OrphanedCredit? {
        guard case .refund(let refund) = key.member, case .marker(let marker) = record, !marker.isForgotten,
            clock.wallMilliseconds > marker.expiry
        else { return nil }
        return OrphanedCredit(account: key.group, refund: refund)
    }

    /// The orphan of a record whose saga may be over; nil: it is too early to ask. If the order says that the saga is
    /// open, the orphan stays.
    private func due(_ key: RecordKey, _ record: Record) -> Orphan? {
        guard case .hold(let saga) = key.member, case .hold(let hold) = record else { return nil }
        let now = clock.wallMilliseconds
        switch hold.state {
        case .held where hold.reservedUntil != 0:
            // It is not over before its order says so, and that can be late.
            let longest = Limits.reservationSeconds * 1_000 + Limits.clockSkewMilliseconds
            guard now > hold.reservedUntil + Limits.clockSkewMilliseconds || hold.reservedUntil > now + longest else {
                return nil
            }
        case .held where now > hold.expiry || isAbsurd(hold.expiry, now: now): break
        case .captured, .released:
            guard Hold.isPast(hold.expiry, now: now) else { return nil }
        case .held: return nil
        }
        return Orphan(account: key.group, saga: saga, hold: hold)
    }

    /// Whether only a wrong clock can have made this expiry: waiting for it would lock the amount for too long.
    private func isAbsurd(_ expiry: Int64, now: Int64) -> Bool {
        expiry > now + Limits.longestDeadlineMilliseconds + Limits.clockSkewMilliseconds
    }
}
