// The cache of a store that several processes share: the groups that this process read and committed. Other processes
// may have written since; a commit on a cached version then meets a conflict.

import KontorCore

/// A bounded cache of groups, for ``ReadSource/memory``. It has two generations: when the young one is full, it becomes
/// the old one, and what was left in the old one is dropped.
public final class GroupCache {
    private struct Entry {
        var version: Version
        /// The cached members; nil: the member is known to be absent.
        var members: [Member: Record?]
    }

    private let bound: Int
    private var young: [GroupKey: Entry] = [:]
    private var old: [GroupKey: Entry] = [:]

    /// - Parameter bound: the most groups that it keeps.
    public init(bound: Int = Limits.rememberedGroups) { self.bound = bound }

    /// Gives cached groups, and loads the others from `store`. To be called by one engine for each kind: an engine has
    /// one batch at a time, so nothing that is loaded here is older than a commit made meanwhile.
    public func load(
        _ readSets: [ReadSet], from source: ReadSource, of store: any RecordStore,
        completion: @escaping ([LoadOutcome]) -> Void
    ) {
        var outcomes: [LoadOutcome?] = readSets.map { source == .memory ? group($0).map { .success($0) } : nil }
        if outcomes.allSatisfy({ $0 != nil }) { return completion(outcomes.compactMap { $0 }) }
        // A group comes entirely from the cache or entirely from the store: a cached member beside a newer head would
        // be of another version.
        let loaded = Set(outcomes.indices.filter { outcomes[$0] == nil }.map { readSets[$0].group })
        let missing = outcomes.indices.filter { loaded.contains(readSets[$0].group) }
        store.load(missing.map { readSets[$0] }, from: .store) { [self] loaded in
            for (index, outcome) in zip(missing, loaded) {
                if case .success(let group) = outcome { learn(readSets[index], group) }
                outcomes[index] = outcome
            }
            completion(outcomes.compactMap { $0 })
        }
    }

    /// What the cache has of a read set; nil: not enough. An uncached hold is taken for absent: nearly always its saga
    /// is new, and so is a refund. So is what a request of the gateway has left: nearly always the request is new.
    func group(_ readSet: ReadSet) -> LoadedGroup? {
        guard let entry = entry(readSet.group), case .some(let head) = entry.members[.head] else { return nil }
        var group = LoadedGroup(version: entry.version, head: head, member: nil, certainty: .remembered)
        guard let member = readSet.member else { return group }
        if case .some(let record) = entry.members[member] {
            group.member = record
        } else if member.isRarelyThere {
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

    /// Removes an entry from the cache, so that changing it makes no copy.
    private func take(_ group: GroupKey) -> Entry? { young.removeValue(forKey: group) ?? old.removeValue(forKey: group) }

    private func put(_ entry: Entry, _ group: GroupKey) {
        if young.count >= bound / 2, young[group] == nil {
            old = young
            young = [:]
        }
        young[group] = entry
    }

    /// Adds what was loaded.
    private func learn(_ readSet: ReadSet, _ loaded: LoadedGroup) {
        var entry = Entry(version: loaded.version, members: [.head: loaded.head])
        // Clients, too, ask for members, so their number must be bounded.
        if let known = take(readSet.group), known.version == loaded.version, known.members.count < Limits.rememberedMembers {
            entry = known
        }
        if let member = readSet.member { entry.members[member] = .some(loaded.member) }
        put(entry, readSet.group)
    }

    /// Applies a commit. Finished work and removed records are dropped: nobody will ask for them.
    public func committed(_ change: GroupChange, as version: Version) {
        guard var entry = take(change.group), entry.version == change.expected else { return }
        entry.version = version
        change.draft.forEachChange { member, record in
            if member == .head {
                entry.members[.head] = .some(record)
            } else if member.isIndexed {
                // Nobody reads it.
            } else if let record, record.removableFrom == nil {
                entry.members[member] = .some(record)
            } else {
                entry.members[member] = nil
            }
        }
        // An order without a saga is paid, or its client is thinking: it is not needed soon.
        if change.group.kind == .order, entry.members[.saga] == nil { return }
        put(entry, change.group)
    }

    /// Drops a group.
    public func forget(_ group: GroupKey) {
        young[group] = nil
        old[group] = nil
    }

    /// Drops everything.
    public func forgetAll() {
        young = [:]
        old = [:]
    }
}

extension Member {
    /// Whether a member that this process has not read is nearly always absent.
    fileprivate var isRarelyThere: Bool {
        switch self {
        case .hold, .refund: true
        case .key(let key): key.isReserved
        case .head, .saga, .payment, .receipt, .trail, .refunded, .listed, .due: false
        }
    }
}
