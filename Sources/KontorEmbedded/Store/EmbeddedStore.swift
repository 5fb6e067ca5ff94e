// The embedded store as the services see it, and how its parts work together: record cache, cold reads, group commit,
// space reservation, fold and expiry.

import KontorCore
import KontorService

/// One machine's store, in one directory that belongs to one process: records in memory, made durable by a journal, and
/// moved to a table in the background.
///
/// Everything runs on one serial domain; blocking work goes through ``Lanes``. The owner calls ``flush()`` at the end
/// of each of its turns and ``tick(now:wall:)`` every few milliseconds. A commit is visible at once and durable with
/// the next barrier; what is committed becomes durable in the order in which it was committed.
public final class EmbeddedStore {
    /// What the start found and did.
    public let startReport: StartReport

    let cache: RecordCache
    let table: any FoldedTable
    let groupCommit: GroupCommit
    private let coldReads: ColdReads
    private let reservation: SpaceReservation
    private let expiry: Expiry
    private let lists: ListCompletion
    private let fold: FoldScheduler

    private let ports: StorePorts
    private let lock: any DirectoryLock
    private var isClosing = false
    /// When the gauges are set again, in monotonic milliseconds.
    private var nextGauges: Int64 = .min

    init(_ started: StartedStore, _ options: EmbeddedOptions, _ lock: any DirectoryLock, _ ports: StorePorts) {
        startReport = started.report
        self.ports = ports
        self.lock = lock
        table = started.table
        cache = started.cache
        coldReads = ColdReads(into: cache, from: table, ports)
        expiry = Expiry(
            started.worker, inTable: started.expiringInTable, inJournal: started.report.expiringReplayed, ports)
        groupCommit = GroupCommit(cache, expiry, started.writer, lastSequence: started.lastSequence, ports)
        reservation = SpaceReservation(started.writer, failure: started.reserveFailure, ports)
        let plan = FoldPlan(options, unfoldedBytes: started.report.bytesReplayed)
        lists = ListCompletion(
            started.worker, isComplete: started.isListed, lastOldFrame: started.lastReplayed, ports)
        fold = FoldScheduler(plan, started.worker, expiry, lists, groupCommit, ports)
        fold.isHeld = !reservation.isWritable
        reservation.didBegin = { [fold] in fold.isHeld = false }
        fold.didCheckpoint = { [weak reservation] in reservation?.roomCameBack() }
    }

    /// The number of records in memory, other than open work.
    public var residentRecords: Int { cache.residentRecords }

    /// Syncs everything, folds it, checkpoints the table and gives the directory back. Commits are refused from now on.
    ///
    /// - Parameter completion: is called once the directory is free; with a failure if it is not known what is durable.
    public func close(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        guard !isClosing else { return completion(.failure(DurabilityError(reason: "the store is closing"))) }
        isClosing = true
        fold.pause()
        let ending = StoreEnding(lanes: ports.lanes, table: table, lock: lock, completion: completion)
        barrier { [fold] result in
            if case .failure = result { return ending.release(result) }
            fold.finish { result in
                if case .failure = result { return ending.release(result) }
                ending.closeTable()
            }
        }
        flush()
    }

    /// What happens when a frame has become durable.
    private func didSync(_ frame: GroupCommit.SyncedFrame) {
        fold.appended(bytes: frame.bytes)
        // Once the store closes, the directory may soon be another process's.
        if frame.isSpareTaken && !isClosing { reservation.reserve() }
        // The disk first: the waiters' work joins the frame behind it.
        flush()
        for waiter in frame.waiters { waiter(.success(())) }
        fold.advance()
    }

    /// Why new work is refused, for callers and for the metrics; nil if it is not.
    private var refusal: (error: StoreError, by: StoreMetrics.ClosedBy)? {
        if let failure { return (.unreachable(failure.reason), .failed) }
        if isClosing { return (Self.closingTrouble, .closing) }
        if let shortage = reservation.failure ?? fold.shortage {
            let error = StoreError(shortage)
            return (error, error == .diskFull ? .diskFull : .noResources)
        }
        return fold.isBehind ? (.unreachable("the table does not keep up with the journal"), .foldBehind) : nil
    }

    private static let closingTrouble = StoreError.unreachable("the store is closing")

    private func setGauges() {
        ports.metrics.publish(
            StoreMetrics.Gauges(
                unfoldedBytes: fold.unfoldedBytes, unsyncedRecords: unsyncedRecords, residentRecords: residentRecords,
                keptKeys: expiringRecords, openWork: cache.openWorkRecords(of:), closedBy: refusal?.by))
    }
}

// MARK: The port

extension EmbeddedStore: RecordStore {
    /// See ``RecordStore``. Calls back at once if everything is in memory.
    public func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        if let groups = cache.load(readSets) { return completion(groups) }
        coldReads.fetch(readSets) { failures in
            if failures.isEmpty { return self.load(readSets, from: source, completion: completion) }
            self.load(readSets, except: failures, from: source, completion: completion)
        }
    }

    /// Loads what does not need the records that could not be read.
    private func load(
        _ readSets: [ReadSet], except failures: [RecordKey: StoreError], from source: ReadSource,
        completion: @escaping ([LoadOutcome]) -> Void
    ) {
        let errors = readSets.map { readSet in
            failures[RecordKey(readSet.group, .head)]
                ?? readSet.member.flatMap { failures[RecordKey(readSet.group, $0)] }
        }
        let readable = zip(readSets, errors).filter { $1 == nil }.map(\.0)
        load(readable, from: source) { loaded in
            var loaded = loaded[...]
            completion(errors.map { error in error.map { .failure($0) } ?? loaded.removeFirst() })
        }
    }

    /// See ``RecordStore``. Calls back at once.
    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        var outcomes: [CommitOutcome] = []
        outcomes.reserveCapacity(changes.count)
        for change in changes { outcomes.append(commit(change)) }
        completion(outcomes)
    }

    private func commit(_ change: GroupChange) -> CommitOutcome {
        if let failure { return .refused(.unreachable(failure.reason)) }
        if isClosing { return .refused(Self.closingTrouble) }
        if !reservation.isWritable, let trouble = reservation.failure { return .refused(StoreError(trouble)) }
        let outcome = cache.commit(change)
        // Between two groups, never within one: a group is atomic.
        if cache.dirtyBytes >= EmbeddedLimits.frameBytes { groupCommit.seal() }
        return outcome
    }

    /// See ``RecordStore``. Calls back at once: open work is always in memory.
    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        completion(.success(cache.openWorkPage(kind, partition: partition, after: cursor)))
    }

    /// See ``RecordStore``. A record is there once its frame is on its way to the disk.
    public func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        if range.isOfLists, let trouble = lists.trouble { return completion(.failure(trouble)) }
        let tail = cache.indexTail
        ports.lanes.perform(on: .read) { [table] in
            IndexRead(table, tail, range, atMost: bound)
        } then: { [ports] read in
            for reason in read.unreadable {
                ports.events?.warning(
                    "An entry of the audit trail or of the lists cannot be read, and is left out", ["reason": reason])
            }
            completion(read.part)
        }
    }

    /// See ``RecordStore``. Calls back at once if everything is durable already.
    public func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) {
        groupCommit.barrier(completion)
    }

    /// Ends the owner's turn: what it committed goes to the journal, or follows the sync that is under way.
    public func flush() {
        cache.evict()
        groupCommit.writeFrame { frame in self.didSync(frame) }
    }

    /// Drives what happens by time. To be called about every 25 ms.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - wall: milliseconds since 1970: what expired by then may go.
    public func tick(now: Int64, wall: Int64 = 0) {
        groupCommit.tick(now)
        if now >= nextGauges {
            nextGauges = now + Limits.gaugeMilliseconds
            setGauges()
        }
        if failure == nil && !isClosing { reservation.tick(now) }
        fold.tick(now, wall: wall)
    }

    /// Why new work must not begin; nil if it may.
    public var admission: StoreError? { refusal?.error }
    public var openWorkRecords: Int { cache.openWorkRecords }

    /// Why nothing more becomes durable; nil as long as all is well.
    public var failure: DurabilityError? { groupCommit.failure }

    /// The number of records that were committed and are not durable yet: what a crash would take back.
    public var unsyncedRecords: Int { groupCommit.unsyncedRecords }

    /// The number of idempotency keys, at most: changes that are not folded yet may be of the same key.
    public var expiringRecords: Int { expiry.count }
}

/// Gives the directory back when the store ends, and tells whoever closed it.
private struct StoreEnding {
    let lanes: any Lanes
    let table: any FoldedTable
    let lock: any DirectoryLock
    let completion: (Result<Void, DurabilityError>) -> Void

    /// Waits for the lanes, so that nothing touches the directory once it belongs to somebody else.
    func closeTable() {
        lanes.perform(on: .journal) {
        } then: {
            lanes.perform(on: .read) { [table] in
                table.close()
            } then: {
                release(.success(()))
            }
        }
    }

    func release(_ result: Result<Void, DurabilityError>) {
        lock.release()
        completion(result)
    }
}

extension StoreError {
    /// What a caller is told while this lasts.
    init(_ error: EmbeddedError) {
        if case .diskFull = error { self = .diskFull } else { self = .unreachable("\(error)") }
    }
}
