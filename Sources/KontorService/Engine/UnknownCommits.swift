// Commits whose outcome is unknown. Only a write settles them: a commit that was sent on a dead connection can land
// seconds after a read that did not see it.

import KontorCore

/// Settles unknown commits by fences. A fence expects the version that the unknown commit expected, and writes the
/// group's head as it was. Only one of the two can land.
final class UnknownCommits {
    enum Settlement {
        case landed
        /// The commit has not landed, and never will.
        case neverLands
        /// Other processes wrote the group since, so nobody can tell whether they overwrote this commit.
        case overwritten
    }

    /// One unknown commit.
    struct Unsettled {
        let group: GroupKey
        /// The version that the commit expected, and the group's head at that version.
        let expected: Version
        let head: Record?
        /// The group's version if the commit landed.
        let landed: Version
    }

    private final class Case {
        let unsettled: Unsettled
        /// The versions of the fences: the group has one of them if that fence landed. Each may still land.
        var fences: [Version] = []
        let completion: (Settlement) -> Void

        init(_ unsettled: Unsettled, completion: @escaping (Settlement) -> Void) {
            self.unsettled = unsettled
            self.completion = completion
        }

        var readSet: ReadSet { ReadSet(unsettled.group) }

        var fence: GroupChange {
            var draft = GroupDraft(unsettled.group)
            draft.add(.head, unsettled.head)
            draft.rewriteHead()
            return GroupChange(expected: unsettled.expected, draft: draft)
        }

        /// The settlement, by the group's version, read after a fence met a conflict; nil: the group has its expected
        /// version again, and must be fenced again.
        func settlement(by version: Version) -> Settlement? {
            if version == unsettled.landed { return .landed }
            if version == unsettled.expected { return nil }
            return fences.contains(version) ? .neverLands : .overwritten
        }
    }

    private let store: any RecordStore
    private let agenda: Agenda
    /// The cases that the next call to the store fences.
    private var due: [Case] = []

    init(store: any RecordStore, agenda: Agenda) {
        self.store = store
        self.agenda = agenda
    }

    /// Settles a commit, however long that takes. Meanwhile nobody else in this process may write the group.
    func settle(_ unsettled: Unsettled, completion: @escaping (Settlement) -> Void) {
        if due.isEmpty { agenda.add { self.fenceAll() } }
        due.append(Case(unsettled, completion: completion))
    }

    private func fenceAll() {
        let cases = due
        due = []
        guard !cases.isEmpty else { return }
        store.commit(cases.map(\.fence)) { [self] outcomes in
            var conflicts: [Case] = []
            for (present, outcome) in zip(cases, outcomes) {
                switch outcome {
                case .committed: present.completion(.neverLands)
                case .conflict: conflicts.append(present)
                case .refused: fenceAtTick(present)
                case .unknown(let version):
                    if present.fences.count == Limits.rememberedFences { present.fences.removeFirst() }
                    present.fences.append(version)
                    fenceAtTick(present)
                }
            }
            if !conflicts.isEmpty { look(conflicts) }
        }
    }

    /// Reads the groups whose fence met a conflict: something has landed there.
    private func look(_ cases: [Case]) {
        store.load(cases.map(\.readSet)) { [self] outcomes in
            var unread: [Case] = []
            for (present, outcome) in zip(cases, outcomes) {
                switch outcome {
                case .failure: unread.append(present)
                case .success(let group):
                    if let settlement = present.settlement(by: group.version) {
                        present.completion(settlement)
                    } else {
                        fenceAtTick(present)
                    }
                }
            }
            if !unread.isEmpty { agenda.addAtTick { [unread] in self.look(unread) } }
        }
    }

    private func fenceAtTick(_ present: Case) {
        agenda.addAtTick { [self] in
            if due.isEmpty { agenda.add { self.fenceAll() } }
            due.append(present)
        }
    }
}
