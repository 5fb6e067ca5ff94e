// The stores that must all keep the same contract, each with what it needs to get its work done.

import Foundation
import KontorCore
import KontorEmbedded
import KontorService
import KontorSimulation

/// A way to make a store.
enum StoreKind: String, CaseIterable, Sendable {
    case memory
    /// The embedded store on a simulated disk and table.
    case embeddedSimulated
    /// The embedded store on this machine's disk and SQLite.
    case embeddedSQLite
    /// The same, with everything evicted that can be: every load reads the table.
    case embeddedWithoutCache

    var isEmbedded: Bool { self != .memory }
}

/// A store, and how its waiting work is done.
final class StoreUnderTest {
    private(set) var store: any RecordStore
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
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

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
            embedded.tick(now: now)
            lanes.runAll()
            embedded.flush()
        }
    }

    /// Closes the store and opens it again.
    func reopen() throws {
        guard let embedded = store as? EmbeddedStore else { return }
        embedded.close { _ in }
        lanes.runAll()
        store = try open()
    }

    // MARK: Calls that wait

    func load(_ touches: [Touch]) throws -> [LoadedGroup] {
        var answer: Result<[LoadedGroup], StoreTrouble>?
        store.load(touches) { answer = $0 }
        lanes.runAll()
        guard let answer else { throw NoAnswer() }
        return try answer.get()
    }

    func load(_ group: GroupKey, _ member: Member? = nil) throws -> LoadedGroup {
        guard let loaded = try load([Touch(group, member)]).first else { throw NoAnswer() }
        return loaded
    }

    func commit(_ changes: [GroupChange]) throws -> [CommitOutcome] {
        var answer: [CommitOutcome]?
        store.commit(changes) { answer = $0 }
        lanes.runAll()
        guard let answer else { throw NoAnswer() }
        return answer
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
        var answer: Result<[(key: RecordKey, record: Record)], StoreTrouble>?
        store.scanOpenWork(kind, partition: partition, after: cursor) { answer = $0 }
        lanes.runAll()
        guard let answer else { throw NoAnswer() }
        return try answer.get()
    }

    func barrier() throws {
        var answer: Result<Void, DurabilityFailure>?
        store.barrier { answer = $0 }
        (store as? EmbeddedStore)?.flush()
        lanes.runAll()
        guard let answer else { throw NoAnswer() }
        try answer.get()
    }

    struct NoAnswer: Error {}
}

// MARK: Records

func item(_ number: Int) -> GroupKey { GroupKey(.item, Identifier(number: number)) }

func account(_ units: Int64) -> Record {
    var account = Account()
    account.balance = Amount(units)
    account.deposited = Amount(units)
    return .account(account)
}

func saga(_ number: Int) -> SagaID { SagaID(order: Identifier(number: number), incarnation: 5, attempt: 1) }

func hold(_ units: Int64) -> Record { .hold(Hold(amount: Amount(units), state: .held)) }

func payment(_ units: Int64) -> Record {
    .payment(DirectPayment(amount: Amount(units), isCancelled: false, generation: 0, earlier: .zero))
}

extension GroupChange {
    init(group: GroupKey, expected: Version, writes: [(member: Member, record: Record?)]) {
        var draft = GroupDraft(group)
        for (member, record) in writes { draft[member] = record }
        self.init(expected: expected, draft: draft)
    }
}
