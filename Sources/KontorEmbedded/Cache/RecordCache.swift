// The records in memory, and which of them changed. Knows neither the disk nor the table: ColdReads brings in what is
// missing, and GroupCommit takes what the journal must have.

import KontorCore
import KontorService

/// Holds records in memory, compares versions when a group is committed, and collects what the next frame must contain.
///
/// Two sorts of records never leave: open work, and changes that the table does not have yet. All others are a cache,
/// which ``EvictionClock`` keeps within its bound.
final class RecordCache {
    private let slots = SlotTable()
    private var openWork = OpenWorkIndex()
    private var tail = IndexTail()
    /// How many records other than open work may stay.
    private let bound: Int
    private var clock = EvictionClock()
    /// The last frame that the table contains.
    private var foldedThrough: UInt64

    /// Tells this process's versions from those of all others.
    private let nonce: UInt64
    private var lastVersion: UInt64 = 0
    /// The version that a group gets when it is read and the table has no head of it. It starts at 0
    /// (``Version/absent``), and is replaced when eviction forgets the version of a group without a head: otherwise a
    /// commit decided before that would pass for one decided after it.
    private var absentVersion: UInt64 = 0

    /// The slots that changed since the last frame was sealed: each once, in the order of their first change.
    private var dirty: [UInt32] = []
    /// An upper bound of what the next frame's changes encode to, in bytes.
    private(set) var dirtyBytes = 0
    /// How many of the dirty slots a scan has already brought up to date in the index of open work.
    private var indexedDirty = 0

    /// - Parameters:
    ///   - bound: how many records may stay in memory besides open work and what is not folded.
    ///   - foldedThrough: the last frame that the table contains.
    ///   - nonce: a random number that is not 0 and names this process.
    init(bound: Int, foldedThrough: UInt64, nonce: UInt64) {
        self.bound = bound
        self.foldedThrough = foldedThrough
        self.nonce = nonce
    }

    /// The number of records that changed since the last frame was sealed.
    var dirtyRecords: Int { dirty.count }
    /// The number of records of open work, as of the last scan or frame.
    var openWorkRecords: Int { openWork.count }
    /// The number of records in memory other than open work.
    var residentRecords: Int { slots.count - openWork.count }

    /// The number of open work records that belong to groups of one kind.
    func openWorkRecords(of kind: GroupKey.Kind) -> Int { openWork.count(of: kind) }

    // MARK: Load

    /// The records of each read set, in order; nil if any of them must be read from the table first.
    func load(_ readSets: [ReadSet]) -> [LoadOutcome]? {
        var groups: [LoadOutcome] = []
        groups.reserveCapacity(readSets.count)
        for readSet in readSets {
            guard load(readSet, into: &groups) else { return nil }
        }
        return groups
    }

    /// What is known of a record without a look at the table.
    private enum Knowledge {
        /// It may be in the table.
        case unknown
        case absent
        case present
    }

    private func knowledge(_ group: GroupKey, _ member: Member) -> Knowledge {
        // Open work is always in memory: if it is not there, it does not exist.
        guard let index = slots.find(group, member) else { return member.isOpenWork ? .absent : .unknown }
        let slot = slots.pointer(index)
        if slot.pointee.isLoading { return .unknown }
        return slot.pointee.exists ? .present : .absent
    }

    /// Appends a read set's records; as a result they would be copied once more. Returns whether all of them are known.
    @inline(__always)
    private func load(_ readSet: ReadSet, into groups: inout [LoadOutcome]) -> Bool {
        guard let head = slot(readSet.group, .head) else { return false }
        let version = version(head.pointee.version)
        if let member = readSet.member {
            if let slot = slot(readSet.group, member) {
                groups.append(
                    .success(LoadedGroup(version: version, head: head.pointee.record, member: slot.pointee.record)))
                return true
            }
            // Open work is always in memory: if it is not there, it does not exist.
            if !member.isOpenWork { return false }
        }
        groups.append(.success(LoadedGroup(version: version, head: head.pointee.record, member: nil)))
        return true
    }

    /// The slot of a record, marked as used; nil if nothing is known of the record.
    private func slot(_ group: GroupKey, _ member: Member) -> UnsafeMutablePointer<Slot>? {
        guard let index = slots.find(group, member) else { return nil }
        let slot = slots.pointer(index)
        if slot.pointee.isLoading { return nil }
        slot.pointee.isUsed = true
        return slot
    }

    private func version(_ counter: UInt64) -> Version {
        counter == 0 ? .absent : Version(writer: nonce, counter: counter)
    }

    private func nextVersion() -> UInt64 {
        lastVersion += 1
        return lastVersion
    }

    // MARK: Commit

    /// Writes one group's change, if the group still has the version that was read.
    ///
    /// - Returns: `.committed`, or `.conflict` if nothing was written.
    func commit(_ change: GroupChange) -> CommitOutcome {
        let group = change.group
        // Whoever decided had loaded the head. If it is gone, it was evicted and its version forgotten: load it again.
        guard let index = slots.find(group, .head) else { return .conflict }
        let head = slots.pointer(index)
        guard !head.pointee.isLoading, version(head.pointee.version) == change.expected,
            change.absent.allSatisfy({ knowledge(group, $0) == .absent })
        else { return .conflict }
        // From here on it succeeds.
        change.draft.forEachChange { member, record in
            if member == .head { set(index, record) } else { write(group, member, record) }
        }
        head.pointee.version = nextVersion()
        return .committed
    }

    private func write(_ group: GroupKey, _ member: Member, _ record: Record?) {
        if let found = slots.find(group, member) { return set(found, record) }
        if member.isOpenWork && record == nil { return }
        // Open work that is not in memory does not exist. Any other record may be in the table, where nobody has
        // looked.
        set(slots.insert(RecordKey(group, member), nil, existsBelow: !member.isOpenWork), record)
    }

    private func set(_ index: UInt32, _ record: Record?) {
        let slot = slots.pointer(index)
        let replacedBytes = slot.pointee.bytes
        slot.pointee.put(record)
        slot.pointee.isLoading = false
        slot.pointee.isUsed = true
        dirtyBytes += Int(slot.pointee.bytes)
        if slot.pointee.isDirty {
            dirtyBytes -= Int(replacedBytes)
            // A scan may have passed this slot, and its next page must see the change.
            if indexedDirty > 0 { updateOpenWork(index) }
        } else {
            slot.pointee.isDirty = true
            dirty.append(index)
            dirtyBytes += JournalFrame.changeHeaderBytes + slot.pointee.key.encodedBytesAtMost
        }
    }

    /// Takes what changed since the last call. Open work that is gone leaves memory, where its absence says the same.
    ///
    /// - Parameter sequence: the frame that will contain the changes.
    /// - Returns: the changes that the journal needs, which may be none, and how many of them are of expiring records.
    func takeChanges(for sequence: UInt64) -> (changes: [JournalChange], expiring: Int) {
        var changes: [JournalChange] = []
        changes.reserveCapacity(dirty.count)
        var expiring = 0
        for index in dirty {
            let slot = slots.pointer(index)
            slot.pointee.isDirty = false
            let exists = slot.pointee.exists
            updateOpenWork(index)
            if exists || slot.pointee.existsBelow {
                changes.append(JournalChange(key: slot.pointee.key, record: slot.pointee.record))
                if slot.pointee.key.member.isExpiring { expiring += 1 }
                // Nobody reads it but by its index.
                if slot.pointee.key.member.isIndexed {
                    tail.add(slot.pointee.key, slot.pointee.record, sequence: sequence)
                    slots.remove(index)
                    continue
                }
                slot.pointee.sequence = sequence
                slot.pointee.existsBelow = exists
            }
            if !exists && slot.pointee.key.member.isOpenWork { slots.remove(index) }
        }
        dirty.removeAll(keepingCapacity: true)
        dirtyBytes = 0
        indexedDirty = 0
        return (changes, expiring)
    }

    // MARK: Open work

    /// A page of the open work of one kind and partition, behind `cursor`, sorted by the keys' bytes.
    func openWorkPage(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?
    ) -> [(key: RecordKey, record: Record)] {
        // Each dirty slot is brought up to date once, however many pages the scan has.
        for index in dirty[indexedDirty...] { updateOpenWork(index) }
        indexedDirty = dirty.count
        return openWork.page(kind, partition, after: cursor, in: slots)
    }

    /// Adds a slot to the index of open work, or takes it out. Called when a frame is sealed or a scan looks, and not
    /// at each commit: most sagas and holds begin and end within one frame, and are never in the index.
    private func updateOpenWork(_ index: UInt32) {
        let slot = slots.pointer(index)
        guard slot.pointee.key.member.isOpenWork else { return }
        if !slot.pointee.exists {
            openWork.remove(index, in: slots)
        } else if slot.pointee.openBucket < 0 {
            openWork.add(index, in: slots)
        }
    }

    /// What changed of the indexes and may not be in the table.
    var indexTail: [IndexChunk] { tail.chunks }

    // MARK: Start

    /// Puts a record into memory before the store serves. A later call for the same key replaces an earlier one.
    ///
    /// - Parameter sequence: the frame that has it; 0 for what comes from the table.
    func restore(_ key: RecordKey, _ record: Record?, sequence: UInt64) {
        if key.member.isIndexed { return tail.add(key, record, sequence: sequence) }
        let isOpenWork = key.member.isOpenWork
        if let index = slots.find(key.group, key.member) {
            let slot = slots.pointer(index)
            if isOpenWork && record == nil {
                openWork.remove(index, in: slots)
                return slots.remove(index)
            }
            slot.pointee.put(record)
            slot.pointee.sequence = sequence
            slot.pointee.existsBelow = record != nil
        } else if !isOpenWork || record != nil {
            let index = slots.insert(key, record, existsBelow: record != nil)
            let slot = slots.pointer(index)
            slot.pointee.sequence = sequence
            if isOpenWork { openWork.add(index, in: slots) }
            if key.member == .head { slot.pointee.version = nextVersion() }
        }
    }

    // MARK: Eviction

    /// Notes that the table contains all frames through `sequence`: their records may be evicted from now on.
    func folded(through sequence: UInt64) {
        foldedThrough = sequence
        tail.folded(through: sequence)
        clock.retry()
        evict()
    }

    /// Removes records that the table has, until the bound is kept or a turn's share of work is done.
    func evict() {
        guard residentRecords > bound else { return }
        clock.sweep(slots, excess: residentRecords - bound, foldedThrough: foldedThrough) { forget($0) }
    }

    private func forget(_ index: UInt32) {
        let slot = slots.pointer(index)
        if !slot.pointee.exists && slot.pointee.version > absentVersion { absentVersion = nextVersion() }
        slots.remove(index)
    }

    // MARK: Cold reads

    /// Keeps the records of these readSets in memory until ``unpin(_:)``: the first must still be there when the last
    /// has been read, or a small cache would never have all of them at a time.
    ///
    /// - Returns: the keys that the caller must read and give to ``fill(_:_:)`` or ``abandon(_:)``. The others are
    ///   here, or an earlier call returned them.
    func pin(_ readSets: [ReadSet]) -> [RecordKey] {
        var missing: [RecordKey] = []
        forEachCacheable(readSets) { key in
            let index: UInt32
            if let found = slots.find(key.group, key.member) {
                index = found
            } else {
                index = slots.insert(key, nil, existsBelow: true)
                slots.pointer(index).pointee.isLoading = true
                missing.append(key)
            }
            slots.pointer(index).pointee.pins &+= 1
        }
        return missing
    }

    /// Ends what ``pin(_:)`` began.
    func unpin(_ readSets: [ReadSet]) {
        forEachCacheable(readSets) { key in
            guard let index = slots.find(key.group, key.member), slots.pointer(index).pointee.pins > 0 else { return }
            slots.pointer(index).pointee.pins -= 1
        }
    }

    /// Takes what the table has of these keys, nil where it has nothing. What was written meanwhile is newer, and
    /// stays.
    func fill(_ keys: [RecordKey], _ records: [Record?]) {
        for (key, record) in zip(keys, records) {
            guard let slot = loadingSlot(key).map({ slots.pointer($0) }) else { continue }
            slot.pointee.isLoading = false
            slot.pointee.put(record)
            slot.pointee.existsBelow = record != nil
            if key.member == .head { slot.pointee.version = record == nil ? absentVersion : nextVersion() }
        }
        clock.retry()
    }

    /// Forgets that these keys were being read: the next load reads them again.
    func abandon(_ keys: [RecordKey]) {
        for key in keys {
            if let index = loadingSlot(key) { slots.remove(index) }
        }
    }

    private func loadingSlot(_ key: RecordKey) -> UInt32? {
        guard let index = slots.find(key.group, key.member), slots.pointer(index).pointee.isLoading else { return nil }
        return index
    }

    /// Calls `body` for each record of these read sets that need not be in memory: all but open work.
    private func forEachCacheable(_ readSets: [ReadSet], _ body: (RecordKey) -> Void) {
        for readSet in readSets {
            body(RecordKey(readSet.group, .head))
            if let member = readSet.member, !member.isOpenWork { body(RecordKey(readSet.group, member)) }
        }
    }
}
