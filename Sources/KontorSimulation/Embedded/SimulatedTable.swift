// The folded table in memory, for simulations of the embedded store: what SQLite promises, without SQLite.

import KontorCore
import KontorEmbedded

/// A table that outlives the store on it. What was applied is durable. Until a checkpoint it lies in a write-ahead log,
/// which ``loseLog()`` removes as a bit flip in SQLite's own log does.
///
/// Confined to the simulator's thread, although its type is Sendable.
public final class SimulatedTable: FoldedTable, @unchecked Sendable {
    private struct Content {
        var records: [[UInt8]: [UInt8]] = [:]
        var openWork: [[UInt8]: [UInt8]] = [:]
        var expiring: [[UInt8]: [UInt8]] = [:]
        var trail: [[UInt8]: [UInt8]] = [:]
        /// By each of their keys.
        var lists: [[UInt8]: [UInt8]] = [:]
        /// The key of the last record that was looked at while the lists are made; nil: they are complete.
        var unlisted: [UInt8]?
        var position: UInt64 = 0
    }

    private var store: UInt64?
    private var current = Content()
    private var checkpointed = Content()
    /// Whether a reader of another process keeps checkpoints from ending.
    public var isBusy = false
    /// Whether another process is in a transaction that writes, so that no slice can begin.
    public var isLocked = false
    /// Whether the disk has no room for a slice.
    public var isFull = false
    /// The number of slices for which the log has room, until a checkpoint empties it.
    public var logSlices = Int.max
    private var slicesInLog = 0
    /// The number of slices for which the log had no room since a checkpoint was tried.
    private(set) var refusedSlices = 0
    /// The error that a slice meets instead of being written; nil: none.
    public var failure: EmbeddedError?
    /// Whether reads fail.
    public var failsReads = false
    /// Records on a page that cannot be read: a read of them fails, with all that it reads.
    public var badPage: Set<RecordKey> = []
    /// The number of slices applied so far.
    public private(set) var slicesApplied = 0

    public init() {}

    /// Opens this table, for any directory.
    public var opener: TableOpener {
        TableOpener(
            open: { [self] _ throws(EmbeddedError) in
                refusedSlices = 0
                return store == nil ? nil : self
            },
            create: { [self] _, storeID throws(EmbeddedError) in
                store = storeID
                current = Content()
                checkpointed = current
                return self
            })
    }

    /// The number of records in all areas.
    public var count: Int {
        [current.records, current.openWork, current.expiring, current.trail, current.lists].reduce(0) { $0 + $1.count }
    }

    /// Every record, in no order.
    func forEach(_ body: (RecordKey, Record) throws -> Void) throws {
        for area in [current.records, current.openWork, current.expiring, current.trail] {
            for (key, value) in area { try body(RecordKey(decoding: key[...]), Record(decoding: value[...])) }
        }
        for (key, value) in current.lists {
            let known = try RecordKey(decoding: key[...])
            if known.indexKeys.first == key { try body(known, Record(decoding: value[...])) }
        }
    }

    /// Removes the write-ahead log; what the last checkpoint had is left.
    public func loseLog() {
        current = checkpointed
        slicesInLog = 0
    }

    public func storeID() throws(EmbeddedError) -> UInt64 { store ?? 0 }
    public func position() throws(EmbeddedError) -> UInt64 { current.position }

    public func read(_ keys: [TableKey]) throws(EmbeddedError) -> [[UInt8]?] {
        if failsReads { throw .table("the simulated table does not read") }
        let isBad: (TableKey) -> Bool = { [badPage] in (try? RecordKey(decoding: $0.bytes[...])).map(badPage.contains) == true }
        if !badPage.isEmpty, keys.contains(where: isBad) { throw .table("a page cannot be read") }
        return keys.map { $0.area == .expiring ? current.expiring[$0.bytes] : current.records[$0.bytes] }
    }

    public func forEachOpenWork(_ body: (_ key: [UInt8], _ value: [UInt8]) throws -> Void) throws {
        for (key, value) in current.openWork.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            try body(key, value)
        }
    }

    public func scan(
        _ range: IndexRange, atMost bound: Int
    ) throws(EmbeddedError) -> [(key: [UInt8], value: [UInt8])] {
        if failsReads { throw .table("the simulated table does not read") }
        return (range.index == .trail ? current.trail : current.lists).filter { range.contains($0.key) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.prefix(bound).map { ($0.key, $0.value) }
    }

    public func apply(_ slice: FoldSlice) throws(EmbeddedError) -> Int {
        try checkWritable()
        if let failure { throw failure }
        if slicesInLog >= logSlices {
            refusedSlices += 1
            throw .diskFull(path: "table's log")
        }
        slicesInLog += 1
        for change in slice.changes {
            let key = Array(slice.bytes[change.key])
            let value = change.value.map { Array(slice.bytes[$0]) }
            switch change.area {
            case .record: current.records[key] = value
            case .openWork: current.openWork[key] = value
            case .expiring: current.expiring[key] = value
            case .trail: current.trail[key] = value
            case .lists:
                current.lists[key] = value
                if let second = RecordKey.secondIndexKey(ofEncoded: key[...]) { current.lists[second] = value }
            }
        }
        current.position = slice.through
        slicesApplied += 1
        return current.expiring.count
    }

    /// Lets the log grow no more: it is full until a checkpoint empties it. One slice always fits.
    func fillLog() { logSlices = max(1, slicesInLog) }

    private func checkWritable() throws(EmbeddedError) {
        if isLocked { throw .busy(path: "table") }
        if isFull { throw .diskFull(path: "table") }
    }

    public func expire(
        now: Int64, trail: Int64, atMost bound: Int
    ) throws(EmbeddedError) -> (removed: Int, left: Int) {
        try checkWritable()
        let expired = current.expiring.filter { (Record.expiry(inEncoded: $0.value[...]) ?? .max) <= now }
        for key in expired.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }).prefix(bound) { current.expiring[key] = nil }
        let over = IndexRange.trail(behind: TrailID(time: trail, number: .max)).start
        current.trail = current.trail.filter { !over.lexicographicallyPrecedes($0.key) }
        return (min(expired.count, bound), current.expiring.count)
    }

    public func expiringCount() throws(EmbeddedError) -> Int { current.expiring.count }

    public func isListed() throws(EmbeddedError) -> Bool { current.unlisted == nil }

    public func forgetLists() throws(EmbeddedError) { current.unlisted = [0] }

    /// Makes it the table of an older release, which has no lists; its reservations stay.
    public func loseLists() {
        let dues = IndexRange.dues(behind: nil)
        for key in current.lists.keys where !dues.contains(key) { current.lists[key] = nil }
        for key in checkpointed.lists.keys where !dues.contains(key) { checkpointed.lists[key] = nil }
        (current.unlisted, checkpointed.unlisted) = ([0], [0])
    }

    public func listSlice(atMost bound: Int) throws(EmbeddedError) -> ListSlice {
        try checkWritable()
        var slice = ListSlice()
        guard let behind = current.unlisted else {
            slice.isLast = true
            return slice
        }
        let found = current.records.filter { behind.lexicographicallyPrecedes($0.key) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }.prefix(bound)
        for (key, value) in found {
            guard let entry = slice.take(key, value) else { continue }
            for key in entry.keys { current.lists[key] = entry.value }
        }
        slice.isLast = found.count < bound
        current.unlisted = slice.isLast ? nil : found.last?.key
        return slice
    }

    public func checkpoint() throws(EmbeddedError) -> Bool {
        refusedSlices = 0
        if isBusy || isLocked { return false }
        if isFull { throw .diskFull(path: "table") }
        checkpointed = current
        slicesInLog = 0
        return true
    }

    public func close() {}
}
