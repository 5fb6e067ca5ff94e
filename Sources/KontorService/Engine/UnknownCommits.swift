// Commits whose outcome is unknown, until it is settled by a write. A look would not do: a commit that was sent on a dead
// connection can land seconds after it.

import KontorCore

/// Settles unknown commits by fences: a fence expects the version that the unknown commit expected, and writes the group's head as
/// it was. Of the two only one can land.
final class UnknownCommits {
    enum Settlement {
        case landed
        /// It has not landed, and never will.
        case neverLands
        /// Others wrote the group since. Whether they wrote over this commit, nobody can tell.
        case overwritten
    }

    /// One unknown commit.
    struct Unsettled {
        let group: GroupKey
        /// What the commit expected, and the group's head as of then.
        let expected: Version
        let head: Record?
        /// What the group has if it landed.
        let landed: Version
    }

    private final class Case {
        let unsettled: Unsettled
        /// What the group has if one of these landed. Each may, as long as none is known to have.
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

        /// What a version of the group that was read after a fence met a conflict tells. nil: the group is as it was before.
        func settlement(by version: Version) -> Settlement? {
            if version == unsettled.landed { return .landed }
            if version == unsettled.expected { return nil }
            return fences.contains(version) ? .neverLands : .overwritten
        }
    }

    private let store: any RecordStore
    private let agenda: Agenda
    /// To be fenced by one call.
    private var due: [Case] = []

    init(store: any RecordStore, agenda: Agenda) {
        self.store = store
        self.agenda = agenda
    }

    /// Settles a commit, however long that takes. Nobody else here may write the group meanwhile.
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

    /// A fence met a conflict: something has landed, and the group never has the expected version again.
    private func look(_ cases: [Case]) {
        store.load(cases.map(\.readSet)) { [self] result in
            guard case .success(let groups) = result else { return agenda.addAtTick { self.look(cases) } }
            for (present, group) in zip(cases, groups) {
                if let settlement = present.settlement(by: group.version) {
                    present.completion(settlement)
                } else {
                    fenceAtTick(present)
                }
            }
        }
    }

    private func fenceAtTick(_ present: Case) {
        agenda.addAtTick { [self] in
            if due.isEmpty { agenda.add { self.fenceAll() } }
            due.append(present)
        }
    }
}
