import KontorCore
import KontorSimulation
import Testing

@testable import KontorService

/// A store that another process writes to at the worst moment, and that cannot be reached after that.
private final class TroubledStore: RecordStore {
    private let records = MemoryStore()
    private var commits = 0
    private(set) var readsFromMemory = 0

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        if source != .store {
            readsFromMemory += 1
            if commits > 0 { return completion(readSets.map { _ in .failure(.unreachable("a test")) }) }
        }
        records.load(readSets, completion: completion)
    }

    /// The first commit lands, is overwritten, and its answer is lost.
    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        commits += 1
        if commits > 1 { return records.commit(changes, completion: completion) }
        let version = records.nextVersion()
        let landed = records.commit(changes[0], as: version)
        #expect(landed)
        var draft = GroupDraft(changes[0].draft.key)
        draft[.head] = .account(Account())
        let overwritten = records.commit(GroupChange(expected: version, draft: draft), as: records.nextVersion())
        #expect(overwritten)
        completion([.unknown(version)])
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        completion(.success([]))
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { completion(.success(())) }
}

/// A store that takes one commit, does not say what became of it, and nothing more.
private final class UnsettledStore: RecordStore {
    private let records = MemoryStore()
    private var commits = 0

    func load(_ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void) {
        records.load(readSets, from: source, completion: completion)
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        commits += 1
        let isFirst = commits == 1
        completion(changes.map { _ in isFirst ? .unknown(records.nextVersion()) : .refused(.unreachable("a test")) })
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        completion(.success([]))
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { completion(.success(())) }
}

/// A store of which some records cannot be read.
private final class DamagedStore: RecordStore {
    private let records = MemoryStore()
    var unreadable: Set<GroupKey> = []

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        completion(
            readSets.map { readSet in
                if unreadable.contains(readSet.group) { return .failure(.unreadable("\(readSet.group)")) }
                return .success(records.load(readSet))
            })
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        records.commit(changes, completion: completion)
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        records.scanOpenWork(kind, partition: partition, after: cursor, completion: completion)
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { completion(.success(())) }
}

@Suite("Engine")
struct EngineTests {
    /// Found on a3307ad: one unreadable record failed 10,382 of 11,988 reads of other items.
    @Test("a record that cannot be read fails its own command, and no other one of the batch")
    func unreadableRecord() {
        let store = DamagedStore()
        let agenda = Agenda()
        let engine = Engine<LedgerRules>(store: store, agenda: agenda)
        let items = (0..<20).map { GroupKey(.item, Identifier(number: $0)) }
        store.unreadable = [items[7]]
        var replies: [GroupKey: Reply<LedgerOutcome>] = [:]
        for item in items {
            engine.submit(LedgerCommand(item, .open(price: Amount(1)))) { replies[item] = $0 }
        }
        agenda.runUntilQuiet()
        for item in items {
            #expect(replies[item] == (item == items[7] ? .refused(.unreadable("\(item)")) : .decided(.done)), "\(item)")
        }
    }

    @Test("commands behind a commit that nobody settles are refused beyond a bound")
    func parkedBound() {
        let store = UnsettledStore()
        let agenda = Agenda()
        let engine = Engine<LedgerRules>(store: store, agenda: agenda)
        let item = GroupKey(.item, Identifier(number: 1))
        var refused = 0
        for _ in 0..<3 * Limits.parkedCommands {
            engine.submit(LedgerCommand(item, .release(SagaID(order: item.id, incarnation: 1, attempt: 1), Amount(1)))) {
                if case .refused(.unreachable) = $0 { refused += 1 }
            }
            agenda.runUntilQuiet()
        }
        #expect(engine.waiting == 1 + Limits.parkedCommands)
        #expect(refused == 2 * Limits.parkedCommands - 1)
    }

    @Test("a command that may have had its effect is unknown when its store cannot be reached, and not refused")
    func mayHaveLanded() {
        let store = TroubledStore()
        let agenda = Agenda()
        let engine = Engine<LedgerRules>(store: store, agenda: agenda)
        let item = GroupKey(.item, Identifier(number: 1))
        let saga = SagaID(order: Identifier(number: 2), incarnation: 3, attempt: 1)
        var replies: [Reply<LedgerOutcome>] = []
        // Leaves a marker, whether there was a hold or not.
        engine.submit(LedgerCommand(item, .release(saga, Amount(1)))) { replies.append($0) }
        agenda.runUntilQuiet()
        #expect(store.readsFromMemory == 2)
        #expect(replies == [.unknown])
    }
}
