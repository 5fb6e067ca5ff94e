// The stores that must all keep the same contract, each with what it needs to get its work done.

import Foundation
import KontorCore
import KontorEmbedded
import KontorService
import KontorSimulation
import RedisSupport
import TestSupport

/// A way to make a store.
enum StoreKind: String, CaseIterable, Sendable {
    case memory
    /// The embedded store on a simulated disk and table.
    case embeddedSimulated
    /// The embedded store on this machine's disk and SQLite.
    case embeddedSQLite
    /// The same, with everything evicted that can be: every load reads the table.
    case embeddedWithoutCache
    /// A real Redis.
    case redis
    /// A Redis Cluster, of one node: one call a slot.
    case redisCluster

    var isEmbedded: Bool { self == .embeddedSimulated || self == .embeddedSQLite || self == .embeddedWithoutCache }
}

/// A store, and how its waiting work is done.
final class StoreUnderTest {
    private(set) var store: any RecordStore
    private var redis: RedisBench?
    private let kind: StoreKind
    private let lanes = ManualLanes()
    private let disk = SimulatedDisk()
    private let table = SimulatedTable()
    private let directory = FileManager.default.temporaryDirectory.path + "/kontor-" + UUID().uuidString
    private var now: Int64 = 0

    init(_ kind: StoreKind) throws {
        self.kind = kind
        store = MemoryStore()
        if kind.isEmbedded { store = try open() }
        if kind == .redis || kind == .redisCluster {
            redis = try RedisBench(
                isCluster: kind == .redisCluster, clock: ManualClock(), random: SeededRandom(seed: 7))
        }
    }

    deinit {
        redis?.server.stop()
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func open() throws -> EmbeddedStore {
        var options = EmbeddedOptions()
        options.segmentBytes = 4_096
        options.cacheRecords = kind == .embeddedWithoutCache ? 0 : 10_000
        let random = SeededRandom(seed: 7)
        if kind == .embeddedSimulated {
            return try EmbeddedStore.open(
                "/data", options: options, lanes: lanes, random: random, files: disk, tables: table.opener)
        }
        return try EmbeddedStore.open(directory, options: options, lanes: lanes, random: random)
    }

    /// Ends the turn, and lets all background work happen, up to the fold and the eviction of an idle store.
    func settle() {
        guard let embedded = store as? EmbeddedStore else { return }
        embedded.flush()
        lanes.runAll()
        for _ in 0..<3 {
            now += 2_000
            embedded.tick(now: now, wall: wall)
            lanes.runAll()
            embedded.flush()
        }
    }

    /// Wall clock, milliseconds since 1970: that of a ``ManualClock``.
    var wall: Int64 { ManualClock().wallMilliseconds }

    /// Lets so much time pass that what has expired is looked for.
    func passHour() {
        now += 3_700_000
        settle()
    }

    /// Closes the store and opens it again.
    func reopen() throws {
        guard let embedded = store as? EmbeddedStore else { return }
        embedded.close { _ in }
        lanes.runAll()
        store = try open()
    }

    // MARK: Calls that wait

    func load(_ readSets: [ReadSet]) throws -> [LoadedGroup] {
        try call { store, done in store.load(readSets, completion: done) }.map { try $0.get() }
    }

    func load(_ group: GroupKey, _ member: Member? = nil) throws -> LoadedGroup {
        guard let loaded = try load([ReadSet(group, member)]).first else { throw NoAnswer() }
        return loaded
    }

    func commit(_ changes: [GroupChange]) throws -> [CommitOutcome] {
        try call { store, done in store.commit(changes, completion: done) }
    }

    /// Loads a group's version and writes under it.
    @discardableResult
    func write(_ group: GroupKey, _ writes: [(member: Member, record: Record?)]) throws -> CommitOutcome {
        let version = try load(group).version
        return try commit([GroupChange(group: group, expected: version, writes: writes)]).first ?? .unknown(version)
    }

    func scan(
        _ kind: GroupKey.Kind, _ partition: Int, after cursor: RecordKey? = nil
    ) throws -> [(key: RecordKey, record: Record)] {
        try call { store, done in store.scanOpenWork(kind, partition: partition, after: cursor, completion: done) }.get()
    }

    func trail(behind id: TrailID? = nil, atMost bound: Int = Limits.trailPage) throws -> TrailPart {
        try call { store, done in store.scanTrail(behind: id, atMost: bound, completion: done) }.get()
    }

    func barrier() throws {
        try call { store, done in store.barrier(done) }.get()
    }

    var admission: StoreError? {
        get throws { try call { store, done in done(store.admission) } }
    }

    /// Called behind each completion: what it led to may go on.
    var didComplete: (() -> Void)? {
        didSet { redis?.didComplete = didComplete }
    }

    func call<Value>(_ body: @escaping (any RecordStore, @escaping (Value) -> Void) -> Void) throws -> Value {
        if let redis { return try redis.call { store, done in body(store, done) } }
        var answer: Value?
        body(store) { answer = $0 }
        lanes.runAll()
        while answer == nil, let embedded = store as? EmbeddedStore {
            didComplete?()
            embedded.flush()
            if lanes.busy.isEmpty { break }
            lanes.runAll()
        }
        guard let answer else { throw NoAnswer() }
        return answer
    }

    /// All open work of all kinds.
    func scanAll() throws -> [(key: RecordKey, record: Record)] {
        var found: [(key: RecordKey, record: Record)] = []
        for kind in GroupKey.Kind.allCases {
            for partition in 0..<Partition.count { found += try scan(kind, partition) }
        }
        return found
    }

    struct NoAnswer: Error {}
}
