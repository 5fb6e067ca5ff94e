// Load, decide, commit: drains its mailbox, loads what the batch needs, decides every command in memory with the pure rules,
// and commits all changed groups at once. One batch at a time; what arrives meanwhile is the next batch, so no timer is needed.

import DequeModule
import KontorCore

/// Decides commands of one kind over one store.
///
/// The arrays of a batch are kept and used again: a checkout is a dozen batches of one to three commands, and its time
/// would go into allocating them.
public final class Engine<R: Rules> {
    private struct Entry {
        let command: R.Command
        let keyed: KeyedWrite?
        let reply: (Reply<R.Outcome>) -> Void
        /// It came to nothing on what the store remembered.
        var mustBeFresh = false
        /// An earlier decision of it may have been committed, and overwritten since: what is refused now is not without effect.
        var mayHaveLanded = false

        /// What the caller is told when a store did not take it.
        func refused(_ trouble: StoreTrouble) -> Reply<R.Outcome> { mayHaveLanded ? .unknown : .refused(trouble) }
    }

    private struct Decision {
        let reply: Reply<R.Outcome>
        /// Which of the batch's drafts it is on.
        let draft: Int
        /// A member that it took for absent.
        let guess: Member?
    }

    /// A group whose commit is unknown, and the commands that wait until that is settled.
    private struct Parked {
        /// Decided by the unknown commit.
        var decided: [(entry: Entry, reply: Reply<R.Outcome>)] = []
        /// Came since.
        var waiting: [Entry] = []
        /// The group's head before and after the commit, for the probe.
        let before: Record?
        let after: Record?
    }

    private let store: any RecordStore
    private let agenda: Agenda
    private let probe: EngineProbe
    /// Read when commands are decided, if messages can be late.
    private let lateness: (any ShopClock)?
    private let unknownCommits: UnknownCommits
    private var parked: [GroupKey: Parked] = [:]
    private var parkedCommands = 0
    private var mailbox = Deque<Entry>()
    /// A batch is between load and commit, or a turn is on the agenda.
    private var isBusy = false

    private var batch: [Entry] = []
    private var touches: [Touch] = []
    private var drafts: [GroupDraft] = []
    private var versions: [Version] = []
    /// The drafts' heads as they were loaded.
    private var heads: [Record?] = []
    /// Whether the drafts are of the newest records.
    private var areFresh: [Bool] = []
    /// The members of each draft that were taken for absent.
    private var guesses: [[Member]] = []
    private var decisions: [Decision] = []
    private var indices: [GroupKey: Int] = [:]
    // Stored closures: made once, and specialized for the rules, as a call through a protocol would not be.
    private lazy var turn: () -> Void = { [unowned self] in runBatch() }
    private lazy var loaded: (Result<[LoadedGroup], StoreTrouble>) -> Void = { [unowned self] in didLoad($0) }
    private lazy var committed: ([CommitOutcome]) -> Void = { [unowned self] in didCommit($0) }

    /// - Parameter lateness: the clock that tells which messages are late; nil: none can be.
    init(
        store: any RecordStore, agenda: Agenda, probe: EngineProbe = EngineProbe(), lateness: (any ShopClock)? = nil
    ) {
        self.store = store
        self.agenda = agenda
        self.probe = probe
        self.lateness = lateness
        unknownCommits = UnknownCommits(store: store, agenda: agenda)
    }

    /// Decides `command` after all that were submitted before it. A command that meets another writer is decided again on
    /// what that one wrote.
    ///
    /// - Parameters:
    ///   - keyed: the command's idempotency key, kept with its effect.
    ///   - reply: called once. The outcome may not be durable yet: see ``RecordStore/barrier(_:)``.
    public func submit(
        _ command: R.Command, keyed: KeyedWrite? = nil, reply: @escaping (Reply<R.Outcome>) -> Void
    ) {
        mailbox.append(Entry(command: command, keyed: keyed, reply: reply))
        scheduleTurn()
    }

    /// Commands that are not decided yet, without the present batch.
    var waiting: Int { mailbox.count + parkedCommands }

    private func scheduleTurn() {
        guard !isBusy, !mailbox.isEmpty else { return }
        isBusy = true
        agenda.add(turn)
    }

    private func runBatch() {
        while batch.count < Limits.engineBatchCommands, let entry = mailbox.popFirst() {
            let touch = R.touched(by: entry.command)
            if !parked.isEmpty, park(entry, behind: touch.group) { continue }
            batch.append(entry)
            touches.append(touch)
            // Behind the command's own: if the two are read at different moments, the version is the older one's.
            if let keyed = entry.keyed { touches.append(Touch(touch.group, .key(keyed.claim.key))) }
        }
        if batch.isEmpty { return endBatch() }
        probe.began(batchOf: batch.count, waiting: batch.count + waiting)
        store.recall(touches, fresh: batch.contains(where: \.mustBeFresh), completion: loaded)
    }

    private func didLoad(_ result: Result<[LoadedGroup], StoreTrouble>) {
        switch result {
        case .failure(let trouble):
            for entry in batch { entry.reply(entry.refused(trouble)) }
            endBatch()
        case .success(let groups):
            var next = 0
            // Not before the records are there: this process may have been paused while it waited for them.
            let now = lateness?.wallMilliseconds
            for entry in batch {
                let draft = draft(for: touches[next], loaded: groups[next], now: now)
                let guess = groups[next].certainty == .guessed ? touches[next].member : nil
                next += 1
                let reply: Reply<R.Outcome>
                if let keyed = entry.keyed {
                    drafts[draft].add(.key(keyed.claim.key), groups[next].member)
                    next += 1
                    reply = R.decide(entry.command, keyed, on: &drafts[draft])
                } else {
                    reply = .decided(R.decide(entry.command, on: &drafts[draft]))
                }
                decisions.append(Decision(reply: reply, draft: draft, guess: guess))
                if let guess { guesses[draft].append(guess) }
            }
            commit()
        }
    }

    /// The draft of the touched group, with all that the command reads.
    private func draft(for touch: Touch, loaded: LoadedGroup, now: Int64?) -> Int {
        let index: Int
        if let known = indexOfDraft(of: touch.group) {
            index = known
        } else {
            index = drafts.count
            drafts.append(GroupDraft(touch.group, now: now))
            drafts[index].add(.head, loaded.head)
            versions.append(loaded.version)
            heads.append(loaded.head)
            areFresh.append(loaded.certainty == .fresh)
            guesses.append([])
            if batch.count > Self.searchedBatch { indices[touch.group] = index }
        }
        if let member = touch.member { drafts[index].add(member, loaded.member) }
        return index
    }

    private func indexOfDraft(of group: GroupKey) -> Int? {
        batch.count > Self.searchedBatch ? indices[group] : drafts.firstIndex { $0.key == group }
    }

    /// Up to this many commands a search is faster than a dictionary.
    private static var searchedBatch: Int { 8 }

    private func commit() {
        var changes: [GroupChange] = []
        for (index, draft) in drafts.enumerated() where draft.hasChanges {
            let absent = guesses[index].isEmpty ? [] : guesses[index].filter(draft.isChanged)
            changes.append(GroupChange(expected: versions[index], draft: draft, absent: absent))
        }
        if changes.isEmpty {
            replyToAll { decision, _ in decision.reply }
        } else {
            store.commit(changes, completion: committed)
        }
    }

    /// Whether a decision stands once its draft is committed. One on remembered records that changed nothing was not put to the test.
    private func isTested(_ decision: Decision) -> Bool {
        let draft = decision.draft
        if let guess = decision.guess, !drafts[draft].isChanged(guess) { return false }
        return areFresh[draft] || drafts[draft].hasChanges
    }

    private func didCommit(_ results: [CommitOutcome]) {
        if results.allSatisfy({ $0 == .committed }) {
            sumUp { _ in true }
            return replyToAll { decision, _ in decision.reply }
        }
        // What was not changed by this batch is committed as it is; the others have their results in the drafts' order.
        var remaining = results[...]
        let ofDraft = drafts.map { $0.hasChanges ? remaining.removeFirst() : .committed }
        sumUp { ofDraft[$0] == .committed }
        var again: [Entry] = []
        for (index, decision) in decisions.enumerated() where ofDraft[decision.draft] == .conflict {
            again.append(batch[index])
        }
        for (draft, outcome) in ofDraft.enumerated() {
            if case .unknown(let version) = outcome { park(draft, landed: version) }
        }
        replyToAll { decision, entry in
            switch ofDraft[decision.draft] {
            case .committed: return decision.reply
            case .refused(let trouble): return entry.refused(trouble)
            case .conflict, .unknown: return nil
            }
        }
        decideFirst(again)
    }

    private func decideFirst(_ entries: [Entry]) {
        for entry in entries.reversed() { mailbox.prepend(entry) }
        scheduleTurn()
    }

    private func sumUp(_ isCommitted: (Int) -> Bool) {
        guard probe.isSumming else { return }
        for index in drafts.indices where drafts[index].hasChanges && isCommitted(index) {
            probe.committed(from: heads[index], to: drafts[index][.head])
        }
    }

    /// Ends the batch. Replies only put work on agendas and mailboxes, so they cannot begin another batch meanwhile.
    private func replyToAll(_ reply: (Decision, Entry) -> Reply<R.Outcome>?) {
        var untested: [Entry] = []
        for (index, entry) in batch.enumerated() {
            guard let reply = reply(decisions[index], entry) else { continue }
            if isTested(decisions[index]) {
                entry.reply(reply)
            } else {
                var again = entry
                again.mustBeFresh = true
                untested.append(again)
            }
        }
        endBatch()
        if !untested.isEmpty { decideFirst(untested) }
    }

    private func endBatch() {
        batch.removeAll(keepingCapacity: true)
        touches.removeAll(keepingCapacity: true)
        drafts.removeAll(keepingCapacity: true)
        versions.removeAll(keepingCapacity: true)
        heads.removeAll(keepingCapacity: true)
        areFresh.removeAll(keepingCapacity: true)
        guesses.removeAll(keepingCapacity: true)
        decisions.removeAll(keepingCapacity: true)
        if !indices.isEmpty { indices.removeAll(keepingCapacity: true) }
        isBusy = false
        scheduleTurn()
    }
}

// MARK: Unknown commits

extension Engine {
    /// Keeps the commands of a draft whose commit is unknown, and lets that be settled. Other groups go on.
    private func park(_ draft: Int, landed: Version) {
        let group = drafts[draft].key
        var present = Parked(before: heads[draft], after: drafts[draft][.head])
        for (index, decision) in decisions.enumerated() where decision.draft == draft {
            present.decided.append((batch[index], decision.reply))
        }
        parkedCommands += present.decided.count
        parked[group] = present
        let unsettled = UnknownCommits.Unsettled(
            group: group, expected: versions[draft], head: heads[draft], landed: landed)
        unknownCommits.settle(unsettled) { [self] in unpark(group, $0) }
    }

    /// Whether the command must wait for a commit of its group, so that the order of commands to one group is kept.
    private func park(_ entry: Entry, behind group: GroupKey) -> Bool {
        guard parked[group] != nil else { return false }
        parked[group]?.waiting.append(entry)
        parkedCommands += 1
        return true
    }

    private func unpark(_ group: GroupKey, _ settlement: UnknownCommits.Settlement) {
        guard let present = parked.removeValue(forKey: group) else { return }
        parkedCommands -= present.decided.count + present.waiting.count
        var again: [Entry] = []
        for (entry, reply) in present.decided {
            switch settlement {
            case .landed: entry.reply(reply)
            case .neverLands: again.append(entry)
            // A key tells whether its command had its effect.
            case .overwritten where entry.keyed != nil || R.isRepeatable(entry.command):
                var repeated = entry
                repeated.mayHaveLanded = true
                again.append(repeated)
            case .overwritten: entry.reply(.unknown)
            }
        }
        if settlement == .landed, probe.isSumming { probe.committed(from: present.before, to: present.after) }
        decideFirst(again + present.waiting)
    }
}
