// How commits become durable: everything since the last handover is one frame of the journal, and one sync. While one sync
// runs the next batch grows; there are no timers.

import DequeModule
import KontorCore
import KontorService

/// What waits for the disk.
struct Durability {
    typealias Waiter = (Result<Void, DurabilityFailure>) -> Void

    /// What becomes one frame, and who waits for it.
    struct Batch {
        let sequence: UInt64
        let changes: [JournalChange]
        var waiters: [Waiter]
    }

    /// Slots that differ from what was sealed, each once, in the order of their first change.
    var dirty: [UInt32] = []
    /// What they encode to at most.
    var dirtyBytes = 0
    /// So many of them a scan of open work has brought into the index already.
    var indexed = 0
    /// Barriers that wait for the dirty slots.
    var waiters: [Waiter] = []
    /// Batches that can grow no more, in order: the first may be with the journal, those behind it wait for its sync.
    var sealed: Deque<Batch> = []
    var isInFlight = false
    /// The frame that is being written and synced.
    var frameInFlight: UInt64? { isInFlight ? sealed.first?.sequence : nil }
    var nextSequence: UInt64 = 1
    var syncedSequence: UInt64 = 0
    /// Why the next segment's room is not ours; nil if it is.
    var reserveFailure: EmbeddedError?
    var isReserving = false
    var reserveRetry: Int64 = .min
    /// The first failure; final.
    var failure: DurabilityFailure?
}

extension EmbeddedStore {
    /// Records that were committed and are not synced yet: what a crash would take back.
    public var unsyncedRecords: Int { durability.sealed.reduce(durability.dirty.count) { $0 + $1.changes.count } }

    /// Why nothing more becomes durable; nil as long as all is well.
    public var failure: DurabilityFailure? { durability.failure }

    public func barrier(_ completion: @escaping (Result<Void, DurabilityFailure>) -> Void) {
        if let failure = durability.failure {
            completion(.failure(failure))
        } else if !durability.dirty.isEmpty {
            durability.waiters.append(completion)
        } else if !durability.sealed.isEmpty {
            durability.sealed[durability.sealed.count - 1].waiters.append(completion)
        } else {
            completion(.success(()))
        }
    }

    /// The owner's turn ends: what it committed goes to the journal, unless a sync is under way; then it follows that.
    public func flush() {
        evict()
        guard !durability.isInFlight, durability.failure == nil else { return }
        if durability.sealed.isEmpty { seal() }
        guard let batch = durability.sealed.first else { return }
        durability.isInFlight = true
        lanes.perform(on: .journal) { [writer, metrics, changes = batch.changes, sequence = batch.sequence] in
            writer.append(changes, sequence: sequence, syncSeconds: metrics.syncSeconds)
        } then: { result in
            self.appended(result)
        }
    }

    /// What was committed so far becomes a frame: all of it or, after a crash, nothing. Later commits are in later frames.
    func seal() {
        guard !durability.dirty.isEmpty else { return }
        let changes = takeDirty(durability.nextSequence)
        let waiters = durability.waiters
        durability.waiters = []
        if changes.isEmpty {
            // Created and removed within one batch: there is nothing to write, but there may be something to wait for.
            for waiter in waiters { barrier(waiter) }
            return
        }
        durability.sealed.append(
            Durability.Batch(sequence: durability.nextSequence, changes: changes, waiters: waiters))
        durability.nextSequence += 1
    }

    /// What the journal must say about each dirty slot. Open work that is gone leaves memory: absence says the same.
    private func takeDirty(_ sequence: UInt64) -> [JournalChange] {
        var changes: [JournalChange] = []
        changes.reserveCapacity(durability.dirty.count)
        for index in durability.dirty {
            let slot = slots.pointer(index)
            slot.pointee.isDirty = false
            let exists = slot.pointee.record != nil
            updateOpenWork(index)
            if exists || slot.pointee.existsBelow {
                changes.append(JournalChange(key: slot.pointee.key, record: slot.pointee.record))
                if slot.pointee.key.member.isExpiring { expiring.appended() }
                slot.pointee.sequence = sequence
                slot.pointee.existsBelow = exists
            }
            if !exists && slot.pointee.key.member.isOpenWork { slots.remove(index) }
        }
        durability.dirty.removeAll(keepingCapacity: true)
        durability.dirtyBytes = 0
        durability.indexed = 0
        return changes
    }

    private func appended(_ result: Result<JournalWriter.Report, EmbeddedError>) {
        switch result {
        case .failure(let error):
            fail("the journal: \(error)")
        case .success(let report):
            guard durability.isInFlight, let batch = durability.sealed.popFirst() else { return }
            durability.isInFlight = false
            durability.syncedSequence = batch.sequence
            fold.appended(bytes: report.bytes)
            metrics.journalRecords.increment(by: batch.changes.count)
            metrics.journalBytes.increment(by: report.bytes)
            if report.isSpareTaken { reserveSpace() }
            updateAdmission()
            // The disk first: the waiters' work joins the batch behind it.
            flush()
            for waiter in batch.waiters { waiter(.success(())) }
            advance()
        }
    }

    /// Nothing more becomes durable. Everybody who waits hears it, and everybody who asks later.
    func fail(_ reason: String) {
        guard durability.failure == nil else { return }
        let failure = DurabilityFailure(reason: reason)
        durability.failure = failure
        let waiters = durability.sealed.flatMap(\.waiters) + durability.waiters
        durability.isInFlight = false
        durability.sealed = []
        durability.waiters = []
        updateAdmission()
        for waiter in waiters { waiter(.failure(failure)) }
        if closing?.isDrained == true { released(.failure(failure)) }
    }

    // MARK: Room

    /// Makes and reserves the next segment, and what is left of the current one.
    func reserveSpace() {
        // Once the store closes, the directory may soon be another process's.
        guard !durability.isReserving, durability.failure == nil, closing == nil else { return }
        durability.isReserving = true
        lanes.perform(on: .journal) { [writer] in
            writer.reserve()
        } then: { failure in
            self.durability.isReserving = false
            self.durability.reserveFailure = failure
            self.updateAdmission()
            self.advance()
        }
    }
}
