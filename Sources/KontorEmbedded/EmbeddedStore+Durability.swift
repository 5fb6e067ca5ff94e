// How commits become durable: everything since the last handover is one frame of the journal, and one sync. While one sync
// runs the next batch grows; there are no timers.

import KontorCore
import KontorService

/// What waits for the disk.
struct Durability {
    typealias Waiter = (Result<Void, DurabilityFailure>) -> Void

    struct InFlight {
        let sequence: UInt64
        let records: Int
        var waiters: [Waiter]
    }

    /// Slots that differ from what was handed over, each once, in the order of their first change.
    var dirty: [UInt32] = []
    /// So many of them a scan of open work has brought into the index already.
    var indexed = 0
    /// Barriers that wait for the dirty slots.
    var waiters: [Waiter] = []
    var inFlight: InFlight?
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
    /// Records that were committed and are not synced yet: what a crash would take back, and what a frame will weigh.
    public var unsyncedRecords: Int { durability.dirty.count + (durability.inFlight?.records ?? 0) }

    /// Why nothing more becomes durable; nil as long as all is well.
    public var failure: DurabilityFailure? { durability.failure }

    public func barrier(_ completion: @escaping (Result<Void, DurabilityFailure>) -> Void) {
        if let failure = durability.failure {
            completion(.failure(failure))
        } else if !durability.dirty.isEmpty {
            durability.waiters.append(completion)
        } else if durability.inFlight != nil {
            durability.inFlight?.waiters.append(completion)
        } else {
            completion(.success(()))
        }
    }

    /// The owner's turn ends: what it committed goes to the journal, unless a sync is under way; then it follows that.
    public func flush() {
        evict()
        guard durability.inFlight == nil, durability.failure == nil, !durability.dirty.isEmpty else { return }
        let sequence = durability.nextSequence
        let changes = takeDirty(sequence)
        let waiters = durability.waiters
        durability.waiters = []
        // Created and removed within one batch: there is nothing to write.
        if changes.isEmpty {
            for waiter in waiters { waiter(.success(())) }
            return
        }
        durability.nextSequence += 1
        durability.inFlight = Durability.InFlight(sequence: sequence, records: changes.count, waiters: waiters)
        lanes.perform(on: .journal) { [writer, metrics] in
            writer.append(changes, sequence: sequence, syncSeconds: metrics.syncSeconds)
        } then: { result in
            self.appended(result)
        }
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
        durability.indexed = 0
        return changes
    }

    private func appended(_ result: Result<JournalWriter.Report, EmbeddedError>) {
        switch result {
        case .failure(let error):
            fail("the journal: \(error)")
        case .success(let report):
            guard let batch = durability.inFlight else { return }
            durability.inFlight = nil
            durability.syncedSequence = batch.sequence
            fold.appended(bytes: report.bytes)
            metrics.journalRecords.increment(by: batch.records)
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
        let waiters = (durability.inFlight?.waiters ?? []) + durability.waiters
        durability.inFlight = nil
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
