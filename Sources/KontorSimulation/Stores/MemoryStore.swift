// The simplest store: dictionaries. It does what the port says, and other stores are compared with it.

import KontorCore
import KontorService

/// Keeps records in memory only. Everything completes before the call returns.
public final class MemoryStore: RecordStore {
    /// Why the store takes no new work, for tests to set; nil: it takes work.
    public var admission: StoreError?
    /// How many records of open work it says to have in memory, for tests to set.
    public var openWorkRecords = 0

    private var records: [RecordKey: Record] = [:]
    /// Keys of open work by kind and partition, so that a scan looks at nothing else.
    private var openWork: [Bucket: Set<RecordKey>] = [:]
    /// Records of the indexes, by each of their keys.
    private var indexes: [[UInt8]: RecordKey] = [:]
    private var versions: [GroupKey: Version] = [:]
    public private(set) var expiringRecords = 0
    public let writer: UInt64
    private var counter: UInt64 = 0
    private static let scanPage = 1_000

    private struct Bucket: Hashable {
        let kind: GroupKey.Kind
        let partition: Int
    }

    /// - Parameter writer: the writer of this store's versions.
    public init(writer: UInt64 = 1) { self.writer = writer }

    public func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        completion(readSets.map { .success(load($0)) })
    }

    /// The records of one read set.
    public func load(_ readSet: ReadSet) -> LoadedGroup {
        LoadedGroup(
            version: versions[readSet.group] ?? .absent, head: records[RecordKey(readSet.group, .head)],
            member: readSet.member.flatMap { records[RecordKey(readSet.group, $0)] })
    }

    public func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        completion(changes.map { commit($0, as: nextVersion()) ? .committed : .conflict })
    }

    /// A version that no group has, for a commit that others make now, later or never.
    public func nextVersion() -> Version {
        counter += 1
        return Version(writer: writer, counter: counter)
    }

    /// Writes a group under a given version. Returns false, and writes nothing, if it meets a conflict.
    public func commit(_ change: GroupChange, as version: Version) -> Bool {
        guard versions[change.group] ?? .absent == change.expected,
            change.absent.allSatisfy({ records[RecordKey(change.group, $0)] == nil })
        else { return false }
        apply(change, as: version)
        return true
    }

    /// Writes a change that was committed earlier, without comparing versions.
    func apply(_ change: GroupChange, as version: Version) {
        change.draft.forEachChange { member, record in set(RecordKey(change.group, member), record) }
        versions[change.group] = version
    }

    /// Adds an entry of the lists, if its group is still what the entry says.
    func list(_ key: RecordKey) {
        guard case .listed(let entry) = key.member, records[RecordKey(key.group, .head)]?.listEntry == entry else { return }
        set(key, .listed)
    }

    /// Removes the records that a store may remove, as a store with expiring records does in its own time.
    /// - Returns: the number of removed records.
    @discardableResult
    public func removeRemovable(now: Int64) -> Int {
        let gone = records.filter { $0.value.removableFrom.map { $0 < now } == true }.keys
        for key in gone { set(key, nil) }
        return gone.count
    }

    private func set(_ key: RecordKey, _ record: Record?) {
        let before: Record?
        if let record { before = records.updateValue(record, forKey: key) } else { before = records.removeValue(forKey: key) }
        if key.member.isExpiring { expiringRecords += (record == nil ? 0 : 1) - (before == nil ? 0 : 1) }
        if key.member.isIndexed { for bytes in key.indexKeys { indexes[bytes] = record == nil ? nil : key } }
        guard key.member.isOpenWork else { return }
        let bucket = Bucket(kind: key.group.kind, partition: Partition.of(key.group.id))
        if record == nil { openWork[bucket]?.remove(key) } else { openWork[bucket, default: []].insert(key) }
    }

    public func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        // Nearly all partitions are empty, and simulated shops scan them all the time.
        guard let found = openWork[Bucket(kind: kind, partition: partition)], !found.isEmpty else {
            return completion(.success([]))
        }
        let start = cursor.map(Self.bytes)
        let page = found.compactMap { key in records[key].map { (bytes: Self.bytes(key), key: key, record: $0) } }
            .filter { entry in start.map { $0.lexicographicallyPrecedes(entry.bytes) } ?? true }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            .prefix(Self.scanPage)
        completion(.success(page.map { ($0.key, $0.record) }))
    }

    public func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        completion(.success(IndexPart(of: entries(of: range).map(\.entry), atMost: bound)))
    }

    /// The records of a range of an index, in its order, with their keys.
    ///
    /// - Parameter isWanted: the groups whose records are given.
    func entries(
        of range: IndexRange, isWanted: (GroupKey) -> Bool = { _ in true }
    ) -> [(bytes: [UInt8], entry: IndexEntry)] {
        indexes.filter { range.contains($0.key) && isWanted($0.value.group) }
            .compactMap { bytes, key in records[key].map { (bytes: bytes, entry: IndexEntry(key, $0)) } }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
    }

    public func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { completion(.success(())) }

    /// Every record, in the order of the keys' bytes.
    public func forEach(_ body: (RecordKey, Record) throws -> Void) rethrows {
        let sorted = records.map { (bytes: Self.bytes($0.key), key: $0.key, record: $0.value) }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
        for entry in sorted { try body(entry.key, entry.record) }
    }

    /// Every record of open work, in no order: a world at its end asks again and again whether there is any.
    func forEachOpenWork(_ body: (RecordKey, Record) -> Void) {
        for key in openWork.values.joined() { if let record = records[key] { body(key, record) } }
    }

    private static func bytes(_ key: RecordKey) -> [UInt8] {
        var writer = ByteWriter()
        key.encode(into: &writer)
        return writer.bytes
    }
}
