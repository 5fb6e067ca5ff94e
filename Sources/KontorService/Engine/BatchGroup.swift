// One group of an engine's batch, from its load to its commit.

import KontorCore

/// A group of the batch while commands are decided on it.
struct BatchGroup {
    var draft: GroupDraft
    /// The version that was loaded.
    let version: Version
    let head: Record?
    /// Whether its records are the newest ones.
    let isFresh: Bool
    /// Members that decisions assumed to be absent.
    var guesses: [Member] = []
    /// Whether anything of it is to be committed, as of the last decision.
    private(set) var hasChanges = false

    init(_ key: GroupKey, _ records: LoadedGroup, now: Int64?) {
        draft = GroupDraft(key, now: now)
        draft.add(.head, records.head)
        version = records.version
        head = records.head
        isFresh = records.certainty == .fresh
    }

    /// Notes whether what was decided has changed anything.
    mutating func decided() { hasChanges = draft.hasChanges }

    /// What is to be committed of it.
    var change: GroupChange {
        GroupChange(expected: version, draft: draft, absent: guesses)
    }
}
