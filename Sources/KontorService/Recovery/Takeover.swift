// Takeover, where several processes share a store: each looks for open sagas and refunds that stand still and whose
// process is silent, and drives them. There are no leases: see docs/decisions/0020-takeover-by-heartbeat.md.

import KontorCore

/// Watches the open sagas and refunds of all processes, and whether those that drive them live.
final class Takeover {
    private struct Watched {
        let state: OpenSaga.State
        /// When the saga will have stood still for too long, monotonic milliseconds.
        var due: Int64
        /// The number of the last scan that saw the saga.
        var scan: Int
    }

    private let shop: ShopParts
    private let clock: any ShopClock
    private let random: any RandomSource
    private let heartbeats: Heartbeats
    private var watched: [OpenSaga.Name: Watched] = [:]
    private var scans = 0
    /// Of how many orders, seen for the first time, the present scan has looked for the process.
    private var sampled = 0
    private var isScanning = false
    private var isTaking = false
    private var nextScan: Int64 = .min
    private var nextDue: Int64 = .max
    /// Whether this process reached the other services at the last tick.
    private var couldDrive = true

    init(_ shop: ShopParts) {
        self.shop = shop
        clock = shop.clock
        random = shop.environment.random
        heartbeats = Heartbeats(shop)
    }

    private var coordinator: CheckoutCoordinator { shop.orders.coordinator }
    private var refunds: RefundCoordinator { shop.orders.refunds }

    /// Whether this process can end what it takes: a process that reaches no participant would only wait beside the
    /// one that drives the saga.
    private var canDrive: Bool { shop.router.unreachable.isDisjoint(with: [.item, .user]) }

    func tick(now: Int64) {
        let canDrive = canDrive
        heartbeats.tick(now: now, isDriving: canDrive && coordinator.openCount + refunds.openCount > 0)
        defer { couldDrive = canDrive }
        guard canDrive else { return }
        // Those who drive have been as silent as this process was blind. They get their time again.
        if !couldDrive { watched = [:] }
        if !isScanning, now >= nextScan {
            nextScan = now + Limits.takeoverScanMilliseconds
            scan()
        }
        if now >= nextDue, !isTaking { takeDue(now: now) }
    }

    private func scan() {
        isScanning = true
        scans += 1
        sampled = 0
        OpenWork.forEachPage(of: .order, in: shop.store, agenda: shop.agenda, atOnce: Limits.partitionsAtOnce) { [self] page in
            learnWriters(page.compactMap { OpenSaga($0.record) }.filter(see))
        } completion: { [self] error in
            isScanning = false
            // After a scan that failed nothing is dropped: a saga that it did not reach may still stand still.
            if error == nil { watched = watched.filter { $0.value.scan == scans } }
        }
    }

    /// Begins to watch the processes that drive some of the sagas that were seen first: few drive them all, so most are
    /// known long before one of them falls silent. A scan of a slow store takes seconds, so this does not wait for its
    /// end. A refund tells its process.
    private func learnWriters(_ new: [OpenSaga]) {
        let drivers = Set(new.compactMap(\.driver))
        if !drivers.isEmpty { heartbeats.watch(drivers) }
        let samples = new.filter { $0.driver == nil }.prefix(Limits.sampledSagas - sampled)
        guard !samples.isEmpty else { return }
        sampled += samples.count
        shop.store.load(samples.map { ReadSet($0.group) }) { [self] outcomes in
            heartbeats.watch(Set(outcomes.compactMap { (try? $0.get())?.version.writer }))
        }
    }

    /// Notes that a saga is open. Returns whether it is watched from now on.
    private func see(_ saga: OpenSaga) -> Bool {
        if isRunning(saga) { return false }
        if var known = watched[saga.name], known.state == saga.state {
            known.scan = scans
            watched[saga.name] = known
            return false
        }
        guard watched[saga.name] != nil || watched.count < Limits.watchedSagas else { return false }
        let jitter = Int64(random.next() % UInt64(Limits.takeoverJitterMilliseconds))
        let due = clock.monotonicMilliseconds + Limits.takeoverAgeMilliseconds + jitter
        watched[saga.name] = Watched(state: saga.state, due: due, scan: scans)
        nextDue = min(nextDue, due)
        return true
    }

    private func isRunning(_ saga: OpenSaga) -> Bool {
        switch saga {
        case .checkout(let saga): coordinator.isRunning(saga.id)
        case .refund(let refund): refunds.isRunning(refund.id)
        }
    }

    // MARK: Those that have stood still

    /// Looks at the sagas that are due, some at a time: who has written each of them last, and whether that process
    /// lives.
    private func takeDue(now: Int64) {
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        let due = watched.lazy.filter({ $0.value.due <= now }).map(\.key).sorted().prefix(Limits.engineBatchCommands)
        // If a saga is not taken now, it is due again later.
        for name in due { watched[name]?.due = now + Limits.takeoverAgeMilliseconds }
        nextDue = watched.values.lazy.map(\.due).min() ?? .max
        let wanted = due.filter(canTake)
        guard !wanted.isEmpty else { return }
        isTaking = true
        shop.store.load(wanted.map(\.readSet)) { [self] outcomes in
            var found: [Found] = []
            for (name, outcome) in zip(wanted, outcomes) {
                guard let known = watched[name], case .success(let group) = outcome,
                    let saga = group.member.flatMap(OpenSaga.init), saga.state == known.state
                else { continue }
                found.append(Found(saga: saga, group: group))
            }
            heartbeats.watch(Set(found.map(\.writer)))
            for found in found { postpone(found.saga.name, until: heartbeats.nextVerdict(on: found.writer)) }
            take(found.filter { heartbeats.isSilent($0.writer) })
        }
    }

    private func canTake(_ name: OpenSaga.Name) -> Bool {
        guard let refund = name.refund else { return !coordinator.isRunning(name.order) && coordinator.canTakeOver }
        return !refunds.isRunning(refund) && refunds.canTakeOver
    }

    private func postpone(_ name: OpenSaga.Name, until due: Int64) {
        watched[name]?.due = due
        nextDue = min(nextDue, due)
    }

    private struct Found {
        let saga: OpenSaga
        let group: LoadedGroup

        /// The process that drives it.
        var writer: UInt64 { saga.driver ?? group.version.writer }
    }

    /// Becomes the process that has written these sagas last, so that the others see who drives them, and drives those
    /// that nobody else has written meanwhile.
    private func take(_ found: [Found]) {
        guard !found.isEmpty else { return isTaking = false }
        // Those of one order are in one group, and taken by one commit. They are sorted.
        var orders: [[Found]] = []
        for found in found {
            guard let last = orders.last?.first, last.saga.group == found.saga.group else {
                orders.append([found])
                continue
            }
            // Another version of the group: the others of it meet a conflict, or this one is due again.
            if last.group.version == found.group.version { orders[orders.count - 1].append(found) }
        }
        shop.store.commit(orders.map(touch)) { [self] outcomes in
            isTaking = false
            for (taken, outcome) in zip(orders, outcomes) where outcome != .conflict {
                // A touch that was refused, or may have failed, is made up for at once: this process has no time to
                // lose either. The worst is that two drive the saga, and that does no harm.
                for found in taken where watched[found.saga.name]?.state == found.saga.state { drive(found.saga) }
            }
        }
    }

    private func touch(_ found: [Found]) -> GroupChange {
        var draft = GroupDraft(found[0].saga.group)
        draft.add(.head, found[0].group.head)
        for found in found {
            switch found.saga {
            case .checkout: draft.rewriteHead()
            case .refund(var refund):
                refund.driver = shop.store.writer
                draft[.refund(refund.id)] = .refund(refund)
            }
        }
        return GroupChange(expected: found[0].group.version, draft: draft)
    }

    private func drive(_ saga: OpenSaga) {
        watched[saga.name] = nil
        switch saga {
        case .checkout(let saga):
            if !coordinator.isRunning(saga.id.order) { shop.metrics.resumedSagas.increment() }
            coordinator.drive(saga)
        case .refund(let refund):
            if !refunds.isRunning(refund.id) { shop.metrics.resumedSagas.increment() }
            refunds.drive(refund)
        }
    }
}
