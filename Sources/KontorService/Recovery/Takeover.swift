// Takeover, where several processes share a store: each looks for open sagas that stand still, because their process
// may be gone, and drives them. There are no leases: see docs/decisions/0008-takeover-by-age.md.

import KontorCore

/// Watches the open sagas of all processes.
final class Takeover {
    private struct Watched {
        let saga: SagaID
        let phase: SagaRecord.Phase
        /// When the saga will have stood still for too long, monotonic milliseconds.
        var due: Int64
        /// The number of the last scan that saw the saga.
        var scan: Int
    }

    private let shop: ShopParts
    private let clock: any ShopClock
    private let random: any RandomSource
    private var watched: [Identifier: Watched] = [:]
    private var scans = 0
    private var isScanning = false
    private var nextScan: Int64 = .min
    private var nextDue: Int64 = .max

    init(_ shop: ShopParts) {
        self.shop = shop
        clock = shop.clock
        random = shop.environment.random
    }

    private var coordinator: CheckoutCoordinator { shop.orders.coordinator }

    func tick(now: Int64) {
        if !isScanning, now >= nextScan {
            nextScan = now + Limits.takeoverScanMilliseconds
            scan()
        }
        if now >= nextDue { takeDue(now: now) }
    }

    private func scan() {
        isScanning = true
        scans += 1
        OpenWork.forEachPage(of: .order, in: shop.store, agenda: shop.agenda, atOnce: Limits.partitionsAtOnce) { [self] page in
            for case (_, .saga(let saga)) in page { see(saga) }
        } completion: { [self] error in
            isScanning = false
            // After a scan that failed nothing is dropped: a saga that it did not reach may still stand still.
            if error == nil { watched = watched.filter { $0.value.scan == scans } }
        }
    }

    private func see(_ saga: SagaRecord) {
        let order = saga.id.order
        if coordinator.isRunning(saga.id) { return }
        if var known = watched[order], known.saga == saga.id, known.phase == saga.phase {
            known.scan = scans
            watched[order] = known
            return
        }
        guard watched[order] != nil || watched.count < Limits.watchedSagas else { return }
        let jitter = Int64(random.next() % UInt64(Limits.takeoverJitterMilliseconds))
        let due = clock.monotonicMilliseconds + Limits.takeoverAgeMilliseconds + jitter
        watched[order] = Watched(saga: saga.id, phase: saga.phase, due: due, scan: scans)
        nextDue = min(nextDue, due)
    }

    private func takeDue(now: Int64) {
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        for order in watched.lazy.filter({ $0.value.due <= now }).map(\.key).sorted() {
            // If the saga cannot be driven now, it is due again later.
            watched[order]?.due = now + Limits.takeoverAgeMilliseconds
            take(order)
        }
        nextDue = watched.values.lazy.map(\.due).min() ?? .max
    }

    /// Drives the order's saga, if it has not moved since it was seen.
    private func take(_ order: Identifier) {
        guard let known = watched[order] else { return }
        shop.orders.submit(OrderCommand(order, .inspect)) { [self] reply in
            guard case .decided(.inspected(_, let saga)) = reply else { return }
            watched[order] = nil
            guard let saga, saga.id == known.saga, saga.phase == known.phase else { return }
            if !coordinator.isRunning(order) { shop.metrics.resumedSagas.increment() }
            coordinator.drive(saga)
        }
    }
}
