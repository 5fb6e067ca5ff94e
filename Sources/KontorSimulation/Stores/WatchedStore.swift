// A store under observation: the shop uses it unchanged, and the watch sees what passes.

import KontorCore
import KontorService

/// Passes everything on to the store behind it, and tells the watch.
final class WatchedStore: RecordStore {
    /// The store behind it; nil: the process is dead, and nothing calls back.
    private var inner: (any RecordStore)?
    private unowned let watch: StoreWatch
    /// Whether it is the store of an older release, which has no lists.
    private let listsNothing: Bool

    init(_ inner: any RecordStore, _ watch: StoreWatch, listsNothing: Bool) {
        self.listsNothing = listsNothing
        self.inner = inner
        self.watch = watch
    }

    func end() { inner = nil }

    func load(
        _ readSets: [ReadSet], from source: ReadSource, completion: @escaping ([LoadOutcome]) -> Void
    ) {
        inner?.load(readSets, from: source) { [watch] outcomes in
            for (readSet, outcome) in zip(readSets, outcomes) {
                guard case .success(let group) = outcome else { continue }
                watch.loaded(RecordKey(readSet.group, .head), group.head)
                if let member = readSet.member { watch.loaded(RecordKey(readSet.group, member), group.member) }
            }
            completion(outcomes)
        }
    }

    func commit(_ changes: [GroupChange], completion: @escaping ([CommitOutcome]) -> Void) {
        // The next release lists what this one does not, so the watch is told of the whole change.
        inner?.commit(listsNothing ? changes.map(\.withoutLists) : changes) { [watch] outcomes in
            for (change, outcome) in zip(changes, outcomes) where outcome == .committed { watch.committed(change) }
            completion(outcomes)
        }
    }

    func scanOpenWork(
        _ kind: GroupKey.Kind, partition: Int, after cursor: RecordKey?,
        completion: @escaping (Result<[(key: RecordKey, record: Record)], StoreError>) -> Void
    ) {
        inner?.scanOpenWork(kind, partition: partition, after: cursor) { [watch] result in
            if case .success(let page) = result {
                for entry in page { watch.loaded(entry.key, entry.record) }
            }
            completion(result)
        }
    }

    func scan(
        _ range: IndexRange, atMost bound: Int, completion: @escaping (Result<IndexPart, StoreError>) -> Void
    ) {
        guard !listsNothing || !range.isOfLists else { return completion(.failure(.unreachable("there are no lists"))) }
        inner?.scan(range, atMost: bound, completion: completion)
    }

    func barrier(_ completion: @escaping (Result<Void, DurabilityError>) -> Void) { inner?.barrier(completion) }

    func flush() {
        if watch.hasUndurable {
            inner?.barrier { [watch, commits = watch.commits] result in
                if case .success = result { watch.durable(through: commits) }
            }
        }
        inner?.flush()
    }

    func tick(now: Int64, wall: Int64) { inner?.tick(now: now, wall: wall) }

    var admission: StoreError? { inner?.admission }
    var openWorkRecords: Int { inner?.openWorkRecords ?? 0 }
    var troubles: [StoreTrouble] { inner?.troubles ?? [] }
    var isUsable: Bool { inner?.isUsable ?? false }
    var lanes: Int { inner?.lanes ?? 1 }
    var format: RecordFormat { inner?.format ?? .newest }
    var idSecret: [UInt8]? { inner?.idSecret }
    var expiringRecords: Int { inner?.expiringRecords ?? 0 }
    var unsyncedRecords: Int { inner?.unsyncedRecords ?? 0 }
    var failure: DurabilityError? { inner?.failure }
}

extension GroupChange {
    /// The change without what it lists; entries that find reservations by their end stay.
    fileprivate var withoutLists: GroupChange {
        var kept = GroupDraft(draft.key, now: draft.now)
        draft.forEachChange { member, record in
            if case .listed = member { return }
            kept[member] = record
        }
        return GroupChange(expected: expected, draft: kept, absent: absent)
    }
}
