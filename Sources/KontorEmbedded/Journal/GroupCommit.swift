// Group commit: everything that was committed since the last frame becomes one frame of the journal, with one sync.
// While a sync runs the next frame's changes gather in memory, so no timer decides when to write.

import DequeModule
import KontorCore
import KontorService

/// Makes commits durable, in the order in which they were made, and calls back those who wait for that.
final class GroupCommit {
    /// Called once, when what it waits for is durable or never will be.
    typealias Waiter = (Result<Void, DurabilityError>) -> Void

    /// What became durable with one sync.
    struct SyncedFrame {
        /// The frame's size in the journal.
        let bytes: Int
        /// The journal took the reserved segment: another must be reserved.
        let isSpareTaken: Bool
        /// Those who waited for this frame: whoever gets it must call them.
        let waiters: [Waiter]
    }

    /// What becomes one frame, and who waits for it.
    private struct Batch {
        let sequence: UInt64
        let changes: [JournalChange]
        var waiters: [Waiter]
    }

    /// Where the changes come from.
    let cache: RecordCache
    private let expiry: Expiry
    private let writer: JournalWriter
    private let ports: StorePorts

    /// Who waits for changes that are still in the cache.
    private var waiters: [Waiter] = []
    /// Batches that grow no more, in order. The first may be on its way to the disk; the others wait for its sync.
    private var sealed: Deque<Batch> = []
    private var isInFlight = false
    private var nextSequence: UInt64
    private var slowSyncs = SlowSyncs()
    /// The last frame that is durable.
    private(set) var syncedSequence: UInt64
    /// Why nothing more becomes durable; nil as long as all is well. The first failure is final.
    private(set) var failure: DurabilityError?

    /// - Parameter lastSequence: the last frame of the journal.
    init(_ cache: RecordCache, _ expiry: Expiry, _ writer: JournalWriter, lastSequence: UInt64, _ ports: StorePorts) {
        self.cache = cache
        self.expiry = expiry
        self.writer = writer
        self.ports = ports
        nextSequence = lastSequence + 1
        syncedSequence = lastSequence
    }

    /// The number of records that were committed and are not durable: what a crash would take back.
    var unsyncedRecords: Int { sealed.reduce(cache.dirtyRecords) { $0 + $1.changes.count } }

    /// Calls back once everything committed so far is durable; at once if it is.
    func barrier(_ completion: @escaping Waiter) {
        if let failure {
            completion(.failure(failure))
        } else if cache.dirtyRecords > 0 {
            waiters.append(completion)
        } else if !sealed.isEmpty {
            sealed[sealed.count - 1].waiters.append(completion)
        } else {
            completion(.success(()))
        }
    }

    /// Makes a batch of what was committed so far: a crash keeps all of it or nothing, and later commits are in later
    /// frames.
    func seal() {
        guard cache.dirtyRecords > 0 else { return }
        let (changes, expiring) = cache.takeChanges(for: nextSequence)
        expiry.sealed(expiring)
        let waiters = self.waiters
        self.waiters = []
        if changes.isEmpty {
            // Everything was created and removed since the last frame: nothing is written, but earlier frames may still
            // be on their way.
            for waiter in waiters { barrier(waiter) }
            return
        }
        sealed.append(Batch(sequence: nextSequence, changes: changes, waiters: waiters))
        nextSequence += 1
    }

    /// Hands the next frame to the journal, if there is one and the disk is idle.
    ///
    /// - Parameter completion: called when the frame is durable; never if it fails.
    func writeFrame(_ completion: @escaping (SyncedFrame) -> Void) {
        guard !isInFlight, failure == nil else { return }
        if sealed.isEmpty { seal() }
        guard let batch = sealed.first else { return }
        isInFlight = true
        let syncSeconds = ports.metrics.syncSeconds
        ports.lanes.perform(on: .journal) { [writer, changes = batch.changes, sequence = batch.sequence] in
            writer.append(changes, sequence: sequence, syncSeconds: syncSeconds)
        } then: { result in
            switch result {
            case .failure(let error): self.fail("the journal: \(error)")
            case .success(let report): if let frame = self.synced(report) { completion(frame) }
            }
        }
    }

    /// - Returns: nil if the store failed meanwhile.
    private func synced(_ report: JournalWriter.Report) -> SyncedFrame? {
        guard isInFlight, let batch = sealed.popFirst() else { return nil }
        isInFlight = false
        syncedSequence = batch.sequence
        ports.metrics.journalRecords.increment(by: batch.changes.count)
        ports.metrics.journalBytes.increment(by: report.bytes)
        return SyncedFrame(bytes: report.bytes, isSpareTaken: report.isSpareTaken, waiters: batch.waiters)
    }

    /// Ends it: nothing more becomes durable. Everybody who waits is told, and everybody who asks later.
    func fail(_ reason: String) {
        guard failure == nil else { return }
        let failure = DurabilityError(reason: reason)
        self.failure = failure
        let waiters = sealed.flatMap(\.waiters) + self.waiters
        isInFlight = false
        sealed = []
        self.waiters = []
        for waiter in waiters { waiter(.failure(failure)) }
    }

    /// Warns of a disk that is slow. To be called every few milliseconds.
    ///
    /// - Parameter now: monotonic milliseconds.
    func tick(_ now: Int64) {
        let frame = isInFlight ? sealed.first?.sequence : nil
        guard let (count, milliseconds) = slowSyncs.tick(now, frame: frame) else { return }
        ports.events?.warning("The disk is slow", ["slowSyncs": "\(count)", "longestMilliseconds": "\(milliseconds)"])
    }
}
