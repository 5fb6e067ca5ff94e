// An embedded store on a simulated disk, and the records that the tests write.

import KontorCore
import KontorMetrics
import KontorService
import KontorSimulation
import TestSupport

@testable import KontorEmbedded

/// A store whose disk, table and lanes the test holds in its hands. Reopening keeps the disk and the table.
final class World {
    static let directory = "/data"
    let disk = SimulatedDisk()
    let table = SimulatedTable()
    var lanes = ManualLanes()
    var options = EmbeddedOptions()
    let registry: MetricsRegistry
    let events = RecordedEvents()
    private(set) var store: EmbeddedStore
    private(set) var now: Int64 = 0
    private var starts: UInt64 = 0

    init(_ configure: (inout EmbeddedOptions, SimulatedDisk) -> Void = { _, _ in }) throws {
        options.cacheRecords = 1_000
        configure(&options, disk)
        registry = MetricsRegistry([])
        store = try Self.open(disk, table, lanes, options, registry, events, seed: 1)
    }

    private static func open(
        _ disk: SimulatedDisk, _ table: SimulatedTable, _ lanes: ManualLanes, _ options: EmbeddedOptions,
        _ registry: MetricsRegistry, _ events: RecordedEvents, seed: UInt64
    ) throws(EmbeddedError) -> EmbeddedStore {
        try EmbeddedStore.open(
            directory, options: options, lanes: lanes, random: SeededRandom(seed: seed), files: disk,
            tables: table.opener, metrics: StoreMetrics(factory: registry), events: events)
    }

    /// Opens the directory again; what the process before had in its lanes never happens.
    func open() throws(EmbeddedError) {
        lanes = ManualLanes()
        starts += 1
        store = try Self.open(disk, table, lanes, options, registry, events, seed: 1 + starts)
    }

    /// Kills the process and starts the next one.
    func restart() throws(EmbeddedError) {
        disk.kill()
        try open()
    }

    // MARK: Steps

    func load(_ group: GroupKey, _ member: Member? = nil) throws -> LoadedGroup {
        var answer: [LoadOutcome]?
        store.load([ReadSet(group, member)]) { answer = $0 }
        lanes.stepAll(.read)
        guard let loaded = try answer?.first?.get() else { throw NoAnswer() }
        return loaded
    }

    @discardableResult
    func write(_ group: GroupKey, _ writes: [(member: Member, record: Record?)]) throws -> CommitOutcome {
        let version = try load(group).version
        var outcome: CommitOutcome?
        store.commit([GroupChange(group: group, expected: version, writes: writes)]) { outcome = $0.first }
        guard let outcome else { throw NoAnswer() }
        return outcome
    }

    /// One batch: a frame with one record, or with several.
    func batch(_ number: Int, records: Int = 1) throws {
        for index in 0..<records { try write(item(number + index * 1_000), [(.head, account(Int64(number)))]) }
        sync()
    }

    /// Hands over and syncs everything.
    func sync() {
        store.flush()
        lanes.stepAll(.journal)
    }

    /// Time passes, but no lane moves.
    func tick(_ milliseconds: Int64 = 25) {
        now += milliseconds
        store.tick(now: now)
    }

    /// The store is left alone until everything is folded and checkpointed.
    func rest() {
        for _ in 0..<4 {
            tick(2_000)
            lanes.runAll()
        }
        store.flush()
    }

    func barrier() -> Result<Void, DurabilityError>? {
        let box = Box<Result<Void, DurabilityError>>()
        store.barrier { box.value = $0 }
        sync()
        return box.value
    }

    /// Open work and heads of the given items, as loads show them.
    func heads(_ numbers: [Int]) throws -> [Record?] { try numbers.map { try load(item($0)).head } }

    var segments: [String] { disk.paths.filter { $0.hasSuffix(".journal") } }

    struct NoAnswer: Error {}
}

final class Box<Value> {
    var value: Value?
}

extension ManualLanes {
    func stepAll(_ lane: Lane) {
        while step(lane) {}
    }
}
