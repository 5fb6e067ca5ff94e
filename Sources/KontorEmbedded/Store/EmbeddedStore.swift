// The embedded store: records in memory, made durable by the journal, and moved to the table in the background. This file
// has its state, and how records are loaded and committed; durability, folding and start are beside it.

import KontorCore
import KontorService

/// One machine's store, in one directory that belongs to one process.
///
/// Everything runs on one serial domain; blocking work goes through ``Lanes``. The owner calls ``flush()`` at the end of each
/// of its turns and ``tick(now:)`` every few milliseconds. A commit is visible at once and durable with the next barrier;
/// what is committed becomes durable in the order in which it was committed.
public final class EmbeddedStore: TurnedStore {
    /// What the start did.
    public let startReport: StartReport

    let options: EmbeddedOptions
    let lanes: any Lanes
    let table: any FoldedTable
    let writer: JournalWriter
    let folder: JournalFolder
    let lock: any DirectoryLock

    let slots: SlotTable
    var openWork: OpenWorkIndex
    /// Distinguishes the versions of this process from those of all others.
    private let nonce: UInt64
    var versionCounter: UInt64
    /// The version of a group that neither memory nor the table has. Changes when eviction forgets the version of a group
    /// without a head, so that a commit decided before that cannot pass for one decided after it.
    var absentVersion: UInt64 = 0

    var durability = Durability()
    var fold: FoldProgress
    var expiring: ExpiringRecords
    /// At the last tick: wall clock, milliseconds since 1970.
    var wall: Int64 = 0
    var evictionHand = 0
    var fruitlessVisits = 0
    var closing: Closing?
    public private(set) var admission: StoreTrouble?
    /// The same, for the metrics.
    private(set) var closedBy: StoreMetrics.ClosedBy?
    let metrics: StoreMetrics
    let events: (any EventLog)?
    var slowSyncs = SlowSyncs()
    var nextGauges: Int64 = .min

    init(_ parts: Parts, metrics: StoreMetrics, events: (any EventLog)?) {
        self.metrics = metrics
        self.events = events
        startReport = parts.report
        options = parts.options
        lanes = parts.lanes
        table = parts.table
        writer = parts.writer
        folder = parts.folder
        lock = parts.lock
        slots = parts.memory.slots
        openWork = parts.memory.openWork
        versionCounter = parts.memory.versionCounter
        nonce = parts.nonce
        durability.nextSequence = parts.lastSequence + 1
        durability.syncedSequence = parts.lastSequence
        fold = FoldProgress(foldedThrough: parts.foldedThrough, unfoldedBytes: parts.report.bytesReplayed)
        expiring = parts.expiring
        durability.reserveFailure = parts.reserveFailure
        updateAdmission()
    }

    // MARK: Load

    public func load(_ touches: [Touch], completion: @escaping (Result<[LoadedGroup], StoreTrouble>) -> Void) {
        var groups: [LoadedGroup] = []
        groups.reserveCapacity(touches.count)
        for touch in touches {
            guard let group = resident(touch) else { return loadMissing(touches, completion) }
            groups.append(group)
        }
        completion(.success(groups))
    }

    /// What a touch asks for, if all of it is in memory.
    private func resident(_ touch: Touch) -> LoadedGroup? {
        guard let head = residentSlot(touch.group, .head) else { return nil }
        let version = version(head.pointee.version)
        guard let member = touch.member else {
            return LoadedGroup(version: version, head: head.pointee.record, member: nil)
        }
        if let slot = residentSlot(touch.group, member) {
            return LoadedGroup(version: version, head: head.pointee.record, member: slot.pointee.record)
        }
        // Open work is always in memory: if it is not there, it does not exist.
        return member.isOpenWork ? LoadedGroup(version: version, head: head.pointee.record, member: nil) : nil
    }

    private func residentSlot(_ group: GroupKey, _ member: Member) -> UnsafeMutablePointer<Slot>? {
        guard let index = slots.find(group, member) else { return nil }
        let slot = slots.pointer(index)
        if slot.pointee.isLoading { return nil }
        slot.pointee.isUsed = true
        return slot
    }

    private func version(_ counter: UInt64) -> Version {
        counter == 0 ? .absent : Version(writer: nonce, counter: counter)
    }

    func nextVersion() -> UInt64 {
        versionCounter += 1
        return versionCounter
    }

    /// Reads what is not in memory from the table, and begins again. What other loads read already is waited for, by the
    /// order of the lane.
    private func loadMissing(
        _ touches: [Touch], _ completion: @escaping (Result<[LoadedGroup], StoreTrouble>) -> Void
    ) {
        var missing: [RecordKey] = []
        forEachSlotKey(of: touches) { key in
            let index: UInt32
            if let found = slots.find(key.group, key.member) {
                index = found
            } else {
                index = slots.insert(key, nil, existsBelow: true)
                slots.pointer(index).pointee.isLoading = true
                missing.append(key)
            }
            // What is here must still be here when the rest is, or a small cache would never have all of it at a time.
            slots.pointer(index).pointee.pins &+= 1
        }
        let keys = missing
        metrics.cacheMisses.increment(by: keys.count)
        lanes.perform(on: .read) { [table] in
            Self.read(keys, from: table)
        } then: { result in
            self.unpin(touches)
            switch result {
            case .success(let records):
                for (key, record) in zip(keys, records) { self.fill(key, record) }
                self.fruitlessVisits = 0
                self.load(touches, completion: completion)
            case .failure(let error):
                for key in keys { self.abandon(key) }
                completion(.failure(.unreachable("\(error)")))
            }
        }
    }

    /// The records of these touches that may be absent from memory.
    private func forEachSlotKey(of touches: [Touch], _ body: (RecordKey) -> Void) {
        for touch in touches {
            body(RecordKey(touch.group, .head))
            if let member = touch.member, !member.isOpenWork { body(RecordKey(touch.group, member)) }
        }
    }

    private func unpin(_ touches: [Touch]) {
        forEachSlotKey(of: touches) { key in
            guard let index = slots.find(key.group, key.member), slots.pointer(index).pointee.pins > 0 else { return }
            slots.pointer(index).pointee.pins -= 1
        }
    }

    private static func read(
        _ keys: [RecordKey], from table: any FoldedTable
    ) -> Result<[Record?], EmbeddedError> {
        do throws(EmbeddedError) {
            if keys.isEmpty { return .success([]) }
            let encoded = keys.map { TableKey($0) }
            let order = encoded.indices.sorted { encoded[$0].bytes.lexicographicallyPrecedes(encoded[$1].bytes) }
            let values = try table.read(order.map { encoded[$0] })
            var records = [Record?](repeating: nil, count: keys.count)
            for (place, value) in zip(order, values) {
                records[place] = try value.map { value throws(EmbeddedError) in try Record(stored: value) }
            }
            return .success(records)
        } catch {
            return .failure(error)
        }
    }

    /// Puts what the table has into the cache, unless it was written meanwhile.
    private func fill(_ key: RecordKey, _ record: Record?) {
        guard let index = slots.find(key.group, key.member) else { return }
        let slot = slots.pointer(index)
        guard slot.pointee.isLoading else { return }
        slot.pointee.isLoading = false
        slot.pointee.record = record
        slot.pointee.existsBelow = record != nil
        if key.member == .head { slot.pointee.version = record == nil ? absentVersion : nextVersion() }
    }

    private func abandon(_ key: RecordKey) {
        guard let index = slots.find(key.group, key.member), slots.pointer(index).pointee.isLoading else { return }
        slots.remove(index)
    }

    // MARK: Commit

    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        var outcomes: [CommitOutcome] = []
        outcomes.reserveCapacity(changes.count)
        for change in changes { outcomes.append(commit(change)) }
        completion(outcomes)
    }

    private func commit(_ change: GroupChange) -> CommitOutcome {
        if let failure = durability.failure { return .refused(.unreachable(failure.reason)) }
        if closing != nil { return .refused(.unreachable("the store is closing")) }
        // Whoever decided has loaded the head. If it was evicted since, its version is gone too: load again.
        let group = change.group
        guard let index = slots.find(group, .head) else { return .conflict }
        let head = slots.pointer(index)
        guard !head.pointee.isLoading, version(head.pointee.version) == change.expected,
            change.absent.allSatisfy({ slots.find(group, $0).map { slots.pointer($0).pointee.record } == nil })
        else { return .conflict }
        change.draft.forEachChange { member, record in
            if member == .head { set(index, record) } else { write(group, member, record) }
        }
        head.pointee.version = nextVersion()
        // Between two groups, never within one: a group is atomic.
        if durability.dirtyBytes >= EmbeddedLimits.frameBytes { seal() }
        return .committed
    }

    private func write(_ group: GroupKey, _ member: Member, _ record: Record?) {
        if let found = slots.find(group, member) { return set(found, record) }
        if member.isOpenWork && record == nil { return }
        // Open work that is not in memory does not exist; of anything else that was not loaded nothing is known.
        set(slots.insert(RecordKey(group, member), nil, existsBelow: !member.isOpenWork), record)
    }

    private func set(_ index: UInt32, _ record: Record?) {
        let slot = slots.pointer(index)
        let replaced = slot.pointee.record
        slot.pointee.record = record
        slot.pointee.isLoading = false
        slot.pointee.isUsed = true
        durability.dirtyBytes += record?.encodedBytesAtMost ?? 0
        if slot.pointee.isDirty {
            durability.dirtyBytes -= replaced?.encodedBytesAtMost ?? 0
            // A scan may have passed this slot, and its next page must see the change.
            if durability.indexed > 0 { updateOpenWork(index) }
        } else {
            slot.pointee.isDirty = true
            durability.dirty.append(index)
            durability.dirtyBytes += JournalFrame.changeHeaderBytes + slot.pointee.key.encodedBytesAtMost
        }
    }

    // MARK: Scan and admission

    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreTrouble>) -> Void
    ) {
        // Each slot once, however many pages the scan has.
        for index in durability.dirty[durability.indexed...] { updateOpenWork(index) }
        durability.indexed = durability.dirty.count
        completion(.success(openWork.page(kind, partition, after: cursor, in: slots)))
    }

    /// Brings the index up to date with a slot. Done when a batch ends, not at each commit: most sagas and holds begin and end
    /// within one batch, and are never in the index.
    func updateOpenWork(_ index: UInt32) {
        let slot = slots.pointer(index)
        guard slot.pointee.key.member.isOpenWork else { return }
        if slot.pointee.record == nil {
            openWork.remove(index, in: slots)
        } else if slot.pointee.openBucket < 0 {
            openWork.add(index, in: slots)
        }
    }

    func updateAdmission() {
        if let failure = durability.failure {
            (admission, closedBy) = (.unreachable(failure.reason), .failed)
        } else if closing != nil {
            (admission, closedBy) = (.unreachable("the store is closing"), .closing)
        } else if let failure = durability.reserveFailure ?? fold.trouble {
            admission = StoreTrouble(failure)
            closedBy = admission == .diskFull ? .diskFull : .noResources
        } else if fold.unfoldedBytes > options.unfoldedBytes {
            (admission, closedBy) = (.unreachable("the table does not keep up with the journal"), .foldBehind)
        } else {
            (admission, closedBy) = (nil, nil)
        }
    }
}

extension StoreTrouble {
    /// What a caller is told while this lasts.
    init(_ error: EmbeddedError) {
        if case .diskFull = error { self = .diskFull } else { self = .unreachable("\(error)") }
    }
}

extension Record {
    /// Decodes what the table has.
    init(stored bytes: [UInt8]) throws(EmbeddedError) {
        do throws(DecodingFailure) {
            try self.init(decoding: bytes[...])
        } catch .newerFormat(let version) {
            throw .newerFormat(file: "table.sqlite", version: UInt32(version))
        } catch {
            throw .table("a record does not decode: \(error)")
        }
    }
}
