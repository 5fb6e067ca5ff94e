// The store as a port: what the services need of it, and what a crash means.
//
// Ports are called, and call back, on one serial domain: a thread or event loop in production, the scheduler in the
// simulator. A completion may run before the call returns. Nothing is `async`, so nothing can escape to another
// executor.

import KontorCore

/// Names one committed state of a group. No two writers ever make the same version, so a record that was lost and
/// written again is not mistaken for the process's own.
public struct Version: Hashable, Sendable {
    /// A random number per process.
    public let writer: UInt64
    /// Rises with each version that the process makes.
    public let counter: UInt64

    public init(writer: UInt64, counter: UInt64) {
        self.writer = writer
        self.counter = counter
    }

    /// The version of a group that was never written.
    public static let absent = Version(writer: 0, counter: 0)
}

/// The records that one ``ReadSet`` asked for, as committed.
public struct LoadedGroup: Sendable {
    /// How sure it is that the records are the newest ones.
    public enum Certainty: Sendable {
        /// The records are the newest ones.
        case fresh
        /// The records were the newest ones once, all at the same time.
        case remembered
        /// The head is remembered; the member is not, and is taken for absent.
        case guessed
    }

    public var version: Version
    /// The group's head; nil: there is none.
    public var head: Record?
    /// The read set's member; nil: there is none, or none was asked for.
    public var member: Record?
    public var certainty: Certainty

    public init(version: Version, head: Record?, member: Record?, certainty: Certainty = .fresh) {
        self.version = version
        self.head = head
        self.member = member
        self.certainty = certainty
    }
}

/// What became of the read of one ``ReadSet``: its records, or why they cannot be read.
public typealias LoadOutcome = Result<LoadedGroup, StoreError>

/// The changed records of one group, to be written if the group still has the version that was read. It is an object,
/// because a draft is large and goes through many hands.
public final class GroupChange: Sendable {
    public let expected: Version
    public let draft: GroupDraft
    /// Members that the decision assumed to be absent, changed or not. If one of them is there, that is a conflict.
    public let absent: [Member]

    /// The group that changes.
    public var group: GroupKey { draft.key }

    public init(expected: Version, draft: GroupDraft, absent: [Member] = []) {
        self.expected = expected
        self.draft = draft
        self.absent = absent
    }
}

/// What became of one group's change.
public enum CommitOutcome: Hashable, Sendable {
    /// It is committed: later loads see it, and whatever leaves the process waits for it (see
    /// ``RecordStore/barrier(_:)``).
    case committed
    /// Another writer was faster: nothing was written. Load again and decide again.
    case conflict
    /// The store refused it: nothing was written, and never will be.
    case refused(StoreError)
    /// It may have been written, or be written later; then the group has this version. Only a write settles it
    /// (``UnknownCommits``).
    case unknown(Version)
}

/// Where a store takes the records from. A store without a memory always gives the newest ones.
public enum ReadSource: Sendable {
    /// The newest records. The store's memory does not learn them: they may be older than a commit made meanwhile.
    case store
    /// The store's memory of what this process read and wrote. Other processes may have written since, so a decision on
    /// these records stands only when a commit on them succeeds. For engines only.
    case memory
    /// The newest records, which the memory learns. For engines only: an engine has one batch at a time, so the memory
    /// learns nothing that is older than a commit.
    case throughMemory
}

/// Keeps the records. A store knows groups, members and versions, and nothing of shops.
///
/// A store must implement four members: ``load(_:from:completion:)``, ``commit(_:completion:)``,
/// ``scanOpenWork(_:partition:after:completion:)`` and ``barrier(_:)``. The others are for stores that have turns,
/// bounds, indexes or an end.
public protocol RecordStore: AnyObject {
    /// Reads the records of each read set, which are of no index (``Member/isIndexed``). It changes nothing. An engine
    /// never gets an older state of a group than it got before.
    ///
    /// - Parameter completion: gets one outcome for each read set, in order. What cannot be read fails its own read
    ///   sets, and no others.
    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void)

    /// Writes each group atomically or not at all; groups are independent of each other. Gives one outcome for each
    /// change, in order.
    ///
    /// A change gives its group a version that no group ever had, even if the records stay the same, or if the group
    /// has none before or after it. A group without records keeps its version as long as a commit to it may be on its
    /// way.
    ///
    /// A crash before the barrier's completion may lose a commit, but then also each later one. A crash after it loses
    /// nothing.
    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void)

    /// Gives a page of open work (``Member/isOpenWork``) of one kind and partition, in a stable order, after `cursor`;
    /// an empty page is the end. Commits during the scan may or may not show. A store may leave out records that it may
    /// remove (``Record/removableFrom``).
    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void)

    /// Gives the first records of a range of an index (``Member/isIndexed``), in its order: at most `bound`. There may
    /// be fewer, and more behind them (``IndexPart/next``). Of a record that is there during the whole scan of a range,
    /// page by page, it is given exactly once.
    ///
    /// Of reservations a part of the store that does not answer is left out. Records that cannot be read are left out,
    /// and told to operators. Entries of the trail whose time is over may be gone. The lists are refused until they are
    /// complete: those of a store that an older release wrote are made in the background.
    func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void)

    /// Calls back once everything committed so far is durable. Whatever leaves the process (answers, refusals, reads,
    /// messages) waits for this: a crash could still take back what it tells.
    ///
    /// After a failure nobody knows what is durable, and nothing more will be. A store that can fail must tell that by
    /// ``failure`` as well: the runner looks there at the end of each turn, and ends the process or the instance.
    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void)

    /// Gives the time by the clock that decides when a reservation of an order in this group is over:
    /// milliseconds since 1970. All processes must get it from one clock, so that they agree. nil: this process is the
    /// only one, and its own clock decides.
    func time(of group: GroupKey, completion: @escaping (Result<Int64?, StoreError>) -> Void)

    /// Ends a turn of the shop: its commits go to the disk, if the disk is idle.
    func flush()

    /// Does what is due. Called about every `Limits.tickMilliseconds`.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - wall: milliseconds since 1970.
    func tick(now: Int64, wall: Int64)

    /// The reason why new work may not begin; nil: it may. Work that has begun always finds room.
    var admission: StoreError? { get }

    /// The reason why nothing more becomes durable; nil: all is well. After a failure the process must end; a restart
    /// finds out what is durable.
    var failure: DurabilityError? { get }

    /// The parts that do not serve, and the records that cannot be read, for operators.
    var troubles: [StoreTrouble] { get }

    /// Whether any part serves. While it is false the process is not ready.
    var isUsable: Bool { get }

    /// Records of open work that the store keeps in memory; 0: it keeps none there.
    var openWorkRecords: Int { get }

    /// How many engines a kind of groups has: what one part of the store does not answer then holds up no other one.
    /// Groups are divided among them by their partition.
    var lanes: Int { get }

    /// The format that records are written in. Processes of older releases may read them.
    var format: RecordFormat { get }

    /// The secret from which ids are derived; nil: the store has none (yet).
    var idSecret: [UInt8]? { get }
    /// The writer of the versions that this process makes; 0 where it is the only one.
    var writer: UInt64 { get }

    /// Records committed and not yet durable.
    var unsyncedRecords: Int { get }

    /// Stored records of expiring members (``Member/isExpiring``), roughly: expired ones that are not removed yet
    /// count, too.
    var expiringRecords: Int { get }
}

extension RecordStore {
    public func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        completion(.success(IndexPart(entries: [], next: nil)))
    }
    public func time(of group: GroupKey, completion: @escaping (Result<Int64?, StoreError>) -> Void) {
        completion(.success(nil))
    }
    public func flush() {}
    public func tick(now: Int64, wall: Int64) {}
    public var admission: StoreError? { nil }
    public var failure: DurabilityError? { nil }
    public var troubles: [StoreTrouble] { [] }
    public var isUsable: Bool { true }
    public var openWorkRecords: Int { 0 }
    public var lanes: Int { 1 }
    public var format: RecordFormat { .newest }
    public var idSecret: [UInt8]? { nil }
    public var writer: UInt64 { 0 }
    public var unsyncedRecords: Int { 0 }
    public var expiringRecords: Int { 0 }

    /// Reads the newest records.
    public func load(_ readSets: [ReadSet], completion: @escaping ([LoadOutcome]) -> Void) {
        load(readSets, from: .store, completion: completion)
    }

    /// Gives the newest entries of the audit trail that are older than `id` (nil: of all), the newest first: at most
    /// `bound`.
    public func scanTrail(
        behind id: TrailID?, atMost bound: Int, completion: @escaping (Result<TrailPart, StoreError>) -> Void
    ) {
        scan(.trail(behind: id), atMost: bound) { found in completion(found.map(TrailPart.init)) }
    }
}

/// A part of a store that is not used, or a record that cannot be read, and what is wrong with it.
public struct StoreTrouble: Hashable, Sendable {
    /// What is in trouble.
    public enum Kind: Sendable {
        case shard, record
    }

    public let kind: Kind
    /// The shard's address, or the record's key.
    public let part: String
    /// What is wrong, in words for operators.
    public let reason: String

    public init(_ kind: Kind, _ part: String, _ reason: String) {
        self.kind = kind
        self.part = part
        self.reason = reason
    }
}

/// A write or sync failed: what it covered may or may not be there after a restart.
public struct DurabilityError: Error, Hashable, Sendable {
    /// What failed, in words for the log.
    public let reason: String
    public init(reason: String) { self.reason = reason }
}

/// Partitions: parts of all ids, by a hash. They are the unit in which open work is scanned.
public enum Partition {
    /// The number of partitions. It is part of the keys in Redis, so it never changes.
    public static let count = 256

    /// The partition of an id, by FNV-1a: the same in every process and release.
    public static func of(_ id: Identifier) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in id.text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return Int(hash % UInt32(count))
    }
}
