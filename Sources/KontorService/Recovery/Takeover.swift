// Takeover, where several processes share a store: each looks for open sagas that stand still and whose process is
// silent, and drives them. There are no leases: see docs/decisions/0020-takeover-by-heartbeat.md.

import KontorCore

/// Watches the open sagas of all processes, and whether those that drive them live.
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
    private let heartbeats: Heartbeats
    private var watched: [Identifier: Watched] = [:]
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

    /// Whether this process can end what it takes: a process that reaches no participant would only wait beside the
    /// one that drives the saga.
    private var canDrive: Bool { shop.router.unreachable.isDisjoint(with: [.item, .user]) }

    func tick(now: Int64) {
        let canDrive = canDrive
        heartbeats.tick(now: now, isDriving: canDrive && coordinator.openCount > 0)
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
            var new: [Identifier] = []
            for case (_, .saga(let saga)) in page where see(saga) { new.append(saga.id.order) }
            learnWriters(new)
        } completion: { [self] error in
            isScanning = false
            // After a scan that failed nothing is dropped: a saga that it did not reach may still stand still.
            if error == nil { watched = watched.filter { $0.value.scan == scans } }
        }
    }

    /// Begins to watch the processes that drive some of the sagas that were seen first: few drive them all, so most are
    /// known long before one of them falls silent. A scan of a slow store takes seconds, so this does not wait for its
    /// end.
    private func learnWriters(_ new: [Identifier]) {
        let samples = new.prefix(Limits.sampledSagas - sampled)
        guard !samples.isEmpty else { return }
        sampled += samples.count
        shop.store.load(samples.map { ReadSet(GroupKey(.order, $0)) }) { [self] outcomes in
            heartbeats.watch(Set(outcomes.compactMap { (try? $0.get())?.version.writer }))
        }
    }

    /// Notes that a saga is open. Returns whether it is watched from now on.
    private func see(_ saga: SagaRecord) -> Bool {
        let order = saga.id.order
        if coordinator.isRunning(saga.id) { return false }
        if var known = watched[order], known.saga == saga.id, known.phase == saga.phase {
            known.scan = scans
            watched[order] = known
            return false
        }
        guard watched[order] != nil || watched.count < Limits.watchedSagas else { return false }
        let jitter = Int64(random.next() % UInt64(Limits.takeoverJitterMilliseconds))
        let due = clock.monotonicMilliseconds + Limits.takeoverAgeMilliseconds + jitter
        watched[order] = Watched(saga: saga.id, phase: saga.phase, due: due, scan: scans)
        nextDue = min(nextDue, due)
        return true
    }

    // MARK: Those that have stood still

    /// Looks at the sagas that are due, some at a time: who has written each of them last, and whether that process
    /// lives.
    private func takeDue(now: Int64) {
        // Sorted: a dictionary's order differs between runs, and the simulator's must not.
        let due = watched.lazy.filter({ $0.value.due <= now }).map(\.key).sorted().prefix(Limits.engineBatchCommands)
        // If a saga is not taken now, it is due again later.
        for order in due { watched[order]?.due = now + Limits.takeoverAgeMilliseconds }
        nextDue = watched.values.lazy.map(\.due).min() ?? .max
        let orders = due.filter { !coordinator.isRunning($0) }
        guard !orders.isEmpty, coordinator.canTakeOver else { return }
        isTaking = true
        shop.store.load(orders.map { ReadSet(GroupKey(.order, $0), .saga) }) { [self] outcomes in
            var found: [Found] = []
            for (order, outcome) in zip(orders, outcomes) {
                guard let known = watched[order], case .success(let group) = outcome,
                    case .saga(let saga)? = group.member, saga.id == known.saga, saga.phase == known.phase
                else { continue }
                found.append(Found(saga: saga, group: group))
            }
            heartbeats.watch(Set(found.map(\.group.version.writer)))
            for found in found { postpone(found.saga.id.order, until: heartbeats.nextVerdict(on: found.group.version.writer)) }
            take(found.filter { heartbeats.isSilent($0.group.version.writer) })
        }
    }

    private func postpone(_ order: Identifier, until due: Int64) {
        watched[order]?.due = due
        nextDue = min(nextDue, due)
    }

    private struct Found {
        let saga: SagaRecord
        let group: LoadedGroup
    }

    /// Becomes the process that has written these sagas last, so that the others see who drives them, and drives those
    /// that nobody else has written meanwhile.
    private func take(_ found: [Found]) {
        guard !found.isEmpty else { return isTaking = false }
        let touches = found.map { found in
            var draft = GroupDraft(GroupKey(.order, found.saga.id.order))
            draft.add(.head, found.group.head)
            draft.rewriteHead()
            return GroupChange(expected: found.group.version, draft: draft)
        }
        shop.store.commit(touches) { [self] outcomes in
            isTaking = false
            for (found, outcome) in zip(found, outcomes) where outcome != .conflict {
                let order = found.saga.id.order
                guard watched[order]?.saga == found.saga.id else { continue }
                // A touch that was refused, or may have failed, is made up for at once: this process has no time to
                // lose either. The worst is that two drive the saga, and that does no harm.
                watched[order] = nil
                if !coordinator.isRunning(order) { shop.metrics.resumedSagas.increment() }
                coordinator.drive(found.saga)
            }
        }
    }
}
