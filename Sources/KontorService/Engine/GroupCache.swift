// What a store that several processes share remembers of groups: what it read and committed itself. Others may have written since; a
// commit on the remembered version tells.

import KontorCore

/// A bounded memory of groups, for ``ReadSource/memory``. It has two generations: what was not used while one of them
/// filled up is forgotten.
public final class GroupCache {
    private struct Entry {
        var version: Version
        /// nil: known to be absent.
        var members: [Member: Record?]
    }

    private let bound: Int
    private var young: [GroupKey: Entry] = [:]
    private var old: [GroupKey: Entry] = [:]

    /// - Parameter bound: groups that it has at most.
    public init(bound: Int = Limits.rememberedGroups) { self.bound = bound }

    /// Gives what is remembered, and loads the rest from `store`. To be called by one engine a kind, which has one batch at a time: so
    /// nothing that is loaded here is older than what was committed meanwhile.
    public func load(
        _ readSets: [ReadSet], from source: ReadSource, of store: any RecordStore,
        completion: @escaping (Result<[LoadedGroup], StoreError>) -> Void
    ) {
        var groups = readSets.map { source == .memory ? group($0) : nil }
        if groups.allSatisfy({ $0 != nil }) { return completion(.success(groups.compactMap { $0 })) }
        // Of one group all or nothing: a remembered member next to a fresh head would be one of another version.
        let loaded = Set(groups.indices.filter { groups[$0] == nil }.map { readSets[$0].group })
        let missing = groups.indices.filter { loaded.contains(readSets[$0].group) }
        store.load(missing.map { readSets[$0] }, from: .store) { [self] result in
            completion(
                result.map { loaded in
                    for (index, group) in zip(missing, loaded) {
                        learn(readSets[index], group)
                        groups[index] = group
                    }
                    return groups.compactMap { $0 }
                })
        }
    }

    /// What is remembered of a readSet; nil: not enough. A hold of which nothing is known is taken for absent, as it is nearly always: its
    /// saga is new.
    func group(_ readSet: ReadSet) -> LoadedGroup? {
        guard let entry = entry(readSet.group), case .some(let head) = entry.members[.head] else { return nil }
        var group = LoadedGroup(version: entry.version, head: head, member: nil, certainty: .remembered)
        guard let member = readSet.member else { return group }
        if case .some(let record) = entry.members[member] {
            group.member = record
        } else if case .hold = member {
            group.certainty = .guessed
        } else {
            return nil
        }
        return group
    }

    private func entry(_ group: GroupKey) -> Entry? {
        if let entry = young[group] { return entry }
        guard let entry = old.removeValue(forKey: group) else { return nil }
        put(entry, group)
        return entry
    }

    /// Out of the memory, so that a change of it is no copy.
    private func take(_ group: GroupKey) -> Entry? { young.removeValue(forKey: group) ?? old.removeValue(forKey: group) }

    private func put(_ entry: Entry, _ group: GroupKey) {
        if young.count >= bound / 2, young[group] == nil {
            old = young
            young = [:]
        }
        young[group] = entry
    }

    /// Takes over what was loaded.
    private func learn(_ readSet: ReadSet, _ loaded: LoadedGroup) {
        var entry = Entry(version: loaded.version, members: [.head: loaded.head])
        // Members are asked for by clients, too: they must not pile up.
        if let known = take(readSet.group), known.version == loaded.version, known.members.count < Limits.rememberedMembers {
            entry = known
        }
        if let member = readSet.member { entry.members[member] = .some(loaded.member) }
        put(entry, readSet.group)
    }

    /// Takes over what was committed. What is finished work, or gone, will not be asked for again.
    public func committed(_ change: GroupChange, as version: Version) {
        guard var entry = take(change.group), entry.version == change.expected else { return }
        entry.version = version
        change.draft.forEachChange { member, record in
            if member == .head {
                entry.members[.head] = .some(record)
            } else if let record, record.removableFrom == nil {
                entry.members[member] = .some(record)
            } else {
                entry.members[member] = nil
            }
        }
        // An order whose saga has ended is paid, or its client thinks about it.
        if change.group.kind == .order, entry.members[.saga] == nil { return }
        put(entry, change.group)
    }

    /// Forgets what is remembered of a group.
    public func forget(_ group: GroupKey) {
        young[group] = nil
        old[group] = nil
    }

    /// Forgets everything.
    public func forgetAll() {
        young = [:]
        old = [:]
    }
}
