import KontorCore
import KontorSimulation
import TestSupport
import Testing

@testable import KontorService

/// A store that another process writes to at the worst moment, and that cannot be reached after that.
private final class TroubledStore: RecordStore {
    private let records = MemoryStore()
    private var commits = 0
    private(set) var readsFromMemory = 0

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void
    ) {
        if source != .store {
            readsFromMemory += 1
            if commits > 0 { return completion(.failure(.unreachable("a test"))) }
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

@Suite("Engine")
struct EngineTests {
    @Test("a command that may have had its effect is unknown when its store cannot be reached, and not refused")
    func mayHaveLanded() {
        let store = TroubledStore()
        let agenda = Agenda()
        let engine = Engine<LedgerRules>(store: store, agenda: agenda, clock: ManualClock())
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
