// Load, decide, commit: drains its mailbox, loads what the batch needs, decides every command in memory with the pure rules,
// and commits all changed groups at once. One batch at a time; what arrives meanwhile is the next batch, so no timer is needed.

import DequeModule
import KontorCore

/// Decides commands of one kind over one store.
public final class Engine<R: Rules> {
    private struct Entry {
        let command: R.Command
        let reply: (Reply<R.Outcome>) -> Void
    }

    private let store: any RecordStore
    private let agenda: Agenda
    private var mailbox = Deque<Entry>()
    /// A batch is between load and commit, or a turn is on the agenda.
    private var isBusy = false
    private lazy var turn: () -> Void = { [unowned self] in self.runBatch() }

    public init(store: any RecordStore, agenda: Agenda) {
        self.store = store
        self.agenda = agenda
    }

    /// Decides `command` after all that were submitted before it. A command that meets another writer is decided again on
    /// what that one wrote.
    ///
    /// - Parameter reply: called once. The outcome may not be durable yet: see ``RecordStore/barrier(_:)``.
    public func submit(_ command: R.Command, reply: @escaping (Reply<R.Outcome>) -> Void) {
        mailbox.append(Entry(command: command, reply: reply))
        scheduleTurn()
    }

    private func scheduleTurn() {
        guard !isBusy, !mailbox.isEmpty else { return }
        isBusy = true
        agenda.add(turn)
    }

    private func runBatch() {
        let count = min(mailbox.count, Limits.engineBatchCommands)
        let batch = Array(mailbox.prefix(count))
        mailbox.removeFirst(count)
        let touches = batch.map { R.touched(by: $0.command) }
        store.load(touches) { [unowned self] loaded in
            switch loaded {
            case .success(let groups):
                decide(batch, touches, groups)
            case .failure(let trouble):
                for entry in batch { entry.reply(.refused(trouble)) }
                finishBatch()
            }
        }
    }

    private func decide(_ batch: [Entry], _ touches: [Touch], _ loaded: [LoadedGroup]) {
        var drafts: [GroupDraft] = []
        var versions: [Version] = []
        var indexOfGroup: [GroupKey: Int] = [:]
        var outcomes: [(draft: Int, outcome: R.Outcome)] = []
        outcomes.reserveCapacity(batch.count)
        for (position, entry) in batch.enumerated() {
            let touch = touches[position]
            let index: Int
            if batch.count > 1, let known = indexOfGroup[touch.group] {
                index = known
            } else {
                index = drafts.count
                drafts.append(GroupDraft(touch.group))
                versions.append(loaded[position].version)
                drafts[index].add(.head, loaded[position].head)
                if batch.count > 1 { indexOfGroup[touch.group] = index }
            }
            if let member = touch.member { drafts[index].add(member, loaded[position].member) }
            outcomes.append((index, R.decide(entry.command, on: &drafts[index])))
        }
        commit(batch, outcomes, drafts, versions)
    }

    private func commit(
        _ batch: [Entry], _ outcomes: [(draft: Int, outcome: R.Outcome)], _ drafts: [GroupDraft], _ versions: [Version]
    ) {
        var changes: [GroupChange] = []
        var changeOfDraft = Array(repeating: -1, count: drafts.count)
        for (index, draft) in drafts.enumerated() {
            let writes = draft.changes
            if writes.isEmpty { continue }
            changeOfDraft[index] = changes.count
            changes.append(GroupChange(group: draft.key, expected: versions[index], writes: writes))
        }
        if changes.isEmpty {
            for (entry, decided) in zip(batch, outcomes) { entry.reply(.decided(decided.outcome)) }
            return finishBatch()
        }
        store.commit(changes) { [unowned self] results in
            reply(to: batch, outcomes) { draft in
                changeOfDraft[draft] < 0 ? .committed : results[changeOfDraft[draft]]
            }
        }
    }

    private func reply(
        to batch: [Entry], _ outcomes: [(draft: Int, outcome: R.Outcome)], result: (Int) -> CommitOutcome
    ) {
        var again: [Entry] = []
        for (entry, decided) in zip(batch, outcomes) {
            switch result(decided.draft) {
            case .committed: entry.reply(.decided(decided.outcome))
            case .conflict: again.append(entry)
            case .refused(let trouble): entry.reply(.refused(trouble))
            case .unknown: entry.reply(.unknown)
            }
        }
        for entry in again.reversed() { mailbox.prepend(entry) }
        finishBatch()
    }

    private func finishBatch() {
        isBusy = false
        scheduleTurn()
    }
}
