// What the services need from outside: a store, participants, time and randomness. Small, and each says what a crash means.
//
// Everything here is called, and calls back, on one serial domain: a thread in production, the scheduler in the simulator.
// A completion may run before the call returns. Nothing is `async`, so nothing can escape to another executor.

import KontorCore

// MARK: The store

/// Names one committed state of a group. Two writers never make the same one, so that a record that was lost and
/// written anew is not mistaken for one's own.
public struct Version: Hashable, Sendable {
    /// A random number per process.
    public let writer: UInt64
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
    public enum Certainty: Sendable {
        /// The newest ones.
        case fresh
        /// They were the newest ones once, all at the same time.
        case remembered
        /// The head is remembered, and of the member nothing is known: it is taken for absent.
        case guessed
    }

    public var version: Version
    public var head: Record?
    public var member: Record?
    public var certainty: Certainty

    public init(version: Version, head: Record?, member: Record?, certainty: Certainty = .fresh) {
        self.version = version
        self.head = head
        self.member = member
        self.certainty = certainty
    }
}

/// The changed records of one group, to be written if the group still has the version that was read.
public struct GroupChange: Sendable {
    public let expected: Version
    public let draft: GroupDraft
    /// Members that were taken for absent, and are written: if one is there, that is a conflict.
    public let absent: [Member]

    public var group: GroupKey { draft.key }

    public init(expected: Version, draft: GroupDraft, absent: [Member] = []) {
        self.expected = expected
        self.draft = draft
        self.absent = absent
    }
}

/// What became of one group's change.
public enum CommitOutcome: Hashable, Sendable {
    /// Later loads see it, and nothing that leaves the process can overtake it (see ``RecordStore/barrier(_:)``).
    case committed
    /// Nothing was written: another writer was faster. Load again and decide again.
    case conflict
    /// Nothing was written, and never will be.
    case refused(StoreError)
    /// It may be written, now or later; the group's version if it is. Settle it by a write (``UnknownCommits``).
    case unknown(Version)
}

/// Where a store takes what it gives. A store without a memory gives the newest records always.
public enum ReadSource: Sendable {
    /// The newest records, as committed. A memory does not learn them: they may be older than what is committed meanwhile.
    case store
    /// The store's memory of what this process read and wrote: others may have written since. A commit tells: it meets a conflict.
    /// So a decision on such records stands only once something of it is committed. For engines only.
    case memory
    /// The newest records, which the memory learns. For engines only: each has one batch at a time, so nothing that is learned is
    /// older than what was committed.
    case throughMemory
}

/// Where the records are. A store knows groups, members and versions, and nothing of shops.
///
/// Four members must be written: ``load(_:from:completion:)``, ``commit(_:completion:)``,
/// ``scanOpenWork(_:partition:after:completion:)`` and ``barrier(_:)``. The others are for stores that have turns, bounds or an end.
public protocol RecordStore: AnyObject {
    /// Reads the records of each read set, in order. A crash changes nothing. What one engine gets of a group is never older than what it
    /// got before.
    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void)

    /// Writes each group atomically, or not at all; groups are independent of each other. One outcome a change, in order.
    ///
    /// A change gives its group a version that no group ever had, also if it writes what was there, and if the group has no record
    /// before it, or none after it. Such a group must keep its version for as long as a commit to it may be on its way.
    ///
    /// A crash before the barrier's completion may lose it, but only together with everything committed after it; a crash
    /// after that loses nothing.
    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void)

    /// Gives a page of the records of open work (``Member/isOpenWork``) of one kind and partition, in a stable order,
    /// after `cursor`; an empty page is the end. What is committed during the scan may or may not be seen. A store that removes by
    /// itself what is of no use any more (``Record/removableFrom``) need not show that.
    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void)

    /// Calls back once everything committed so far is durable. Whatever leaves the process (answers, refusals, reads,
    /// messages) waits for this: it may have seen records that a crash would still take back.
    ///
    /// A failure means that it is not known what is durable. Nothing more will be; the process must end.
    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void)

    /// Ends a turn of the shop: what it committed goes to the disk, if the disk is idle.
    func flush()

    /// Looks at the time. Called every `Limits.tickMilliseconds` or so.
    ///
    /// - Parameters:
    ///   - now: monotonic milliseconds.
    ///   - wall: milliseconds since 1970.
    func tick(now: Int64, wall: Int64)

    /// Why new work may not begin; nil: it may. Work that has begun always finds room.
    var admission: StoreError? { get }

    /// Why nothing more becomes durable; nil as long as all is well. Then the process must end, and a restart shows what is there.
    var failure: DurabilityError? { get }

    /// Records committed and not yet durable.
    var unsyncedRecords: Int { get }

    /// Records of expiring members (``Member/isExpiring``) that it has, roughly: those that were not removed yet count too.
    var expiringRecords: Int { get }
}

extension RecordStore {
    public func flush() {}
    public func tick(now: Int64, wall: Int64) {}
    public var admission: StoreError? { nil }
    public var failure: DurabilityError? { nil }
    public var unsyncedRecords: Int { 0 }
    public var expiringRecords: Int { 0 }

    /// Reads the newest records.
    public func load(_ readSets: [ReadSet], completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void) {
        load(readSets, from: .store, completion: completion)
    }
}

/// A write or sync failed: what it covered may or may not be there after a restart.
public struct DurabilityError: Error, Hashable, Sendable {
    public let reason: String
    public init(reason: String) { self.reason = reason }
}

/// Order ids are spread over partitions, so that several coordinators can share the search for open sagas.
public enum Partition {
    public static let count = 256

    /// FNV-1a of the id: the same in every process and release.
    public static func of(_ id: Identifier) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in id.text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        return Int(hash % UInt32(count))
    }
}

// MARK: Time and chance

/// Time. Deadlines within a process are monotonic; those that are stored or sent are wall clock.
public protocol ShopClock: AnyObject {
    /// Never goes back; its zero has no meaning.
    var monotonicMilliseconds: Int64 { get }
    /// Milliseconds since 1970; may jump.
    var wallMilliseconds: Int64 { get }
}

/// Chance: ids and incarnations are drawn from it.
public protocol RandomSource: AnyObject {
    func next() -> UInt64
}

/// Receives what operators should see. Messages are constant; the data is in `details`.
public protocol EventLog: AnyObject {
    /// Something that must not happen, happened.
    func alarm(_ event: StaticString, _ details: [String: String])
    /// Something that an operator should look at: work is refused, or the disk is slow.
    func warning(_ event: StaticString, _ details: [String: String])
    /// Something that an operator wants to know later: what began, what ended, what was replaced.
    func notice(_ event: StaticString, _ details: [String: String])
}
