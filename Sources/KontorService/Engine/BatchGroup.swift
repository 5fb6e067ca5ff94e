// One group of an engine's batch, from its load to its commit.

import KontorCore

/// A group of the batch while commands are decided on it.
final class BatchGroup {
    var draft: GroupDraft
    /// The version that was loaded.
    let version: Version
    /// The head that was loaded.
    let head: Record?
    /// Whether its records are the newest ones.
    let isFresh: Bool
    /// Members that decisions assumed to be absent.
    private var guesses: [Member] = []
    /// What became of its commit. A group without changes counts as committed.
    var outcome = CommitOutcome.committed

    init(_ key: GroupKey, _ records: LoadedGroup, now: Int64?) {
        draft = GroupDraft(key, head: records.head, now: now)
        version = records.version
        head = records.head
        isFresh = records.certainty == .fresh
    }

    /// Adds a member that was loaded for a command. Returns whether its absence is a guess.
    func add(_ member: Member, _ records: LoadedGroup) -> Bool {
        draft.add(member, records.member)
        guard records.certainty == .guessed else { return false }
        guesses.append(member)
        return true
    }

    /// Whether anything of it is to be committed.
    var hasChanges: Bool { draft.hasChanges }

    /// What is to be committed of it.
    var change: GroupChange {
        GroupChange(expected: version, draft: draft, absent: guesses)
    }
}
