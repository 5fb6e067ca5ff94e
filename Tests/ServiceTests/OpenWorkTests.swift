// Scans of open work over a store of which a part cannot be read.

import KontorCore
import KontorSimulation
import Testing

@testable import KontorService

/// A store that does not give some partitions.
private final class PartialStore: RecordStore {
    private let records: MemoryStore
    var away: Set<Int> = []

    init(_ records: MemoryStore) { self.records = records }

    func load(_ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void) {
        records.load(readSets, from: source, completion: completion)
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        records.commit(changes, completion: completion)
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        if away.contains(partition) { return completion(.failure(.unreachable("a test"))) }
        records.scanOpenWork(kind, partition: partition, after: cursor, completion: completion)
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { completion(.success(())) }
}

@Suite("Scans of open work")
struct OpenWorkTests {
    /// Found on a3307ad: takeover stopped for all partitions behind one that could not be read, silently.
    @Test("a partition that cannot be read does not end the scan of the others", arguments: [1, 8])
    func partial(atOnce: Int) {
        let records = MemoryStore()
        let store = PartialStore(records)
        store.away = [0, 1, 100]
        var expected: Set<Identifier> = []
        for number in 0..<1_000 {
            let order = GroupKey(.order, Identifier(number: number))
            var draft = GroupDraft(order)
            draft[.hold(SagaID(order: order.id, incarnation: 1, attempt: 1))] = .hold(Hold(amount: Amount(1), state: .held))
            let isWritten = records.commit(GroupChange(expected: .absent, draft: draft), as: records.nextVersion())
            #expect(isWritten)
            if !store.away.contains(Partition.of(order.id)) { expected.insert(order.id) }
        }
        let agenda = Agenda()
        var seen: Set<Identifier> = []
        var error: StoreError?
        OpenWork.forEachPage(of: .order, in: store, agenda: agenda, atOnce: atOnce) { page in
            for entry in page { seen.insert(entry.key.group.id) }
        } completion: {
            error = $0
        }
        agenda.runUntilQuiet()
        #expect(seen == expected)
        #expect(error == .unreachable("a test"))
    }
}
