// Load, decide, commit: drains its mailbox, loads what the batch needs, decides every command in memory with the pure rules,
// and commits all changed groups at once. One batch at a time; what arrives meanwhile is the next batch, so no timer is needed.

import DequeModule
import KontorCore

/// Decides commands of one kind over one store.
///
/// The arrays of a batch are kept and used again: a checkout is a dozen batches of one to three commands, and its time
/// would go into allocating them.
final class Engine<R: Rules> {
    /// A command, and where its reply goes.
    private struct Entry {
        let command: R.Command
        let keyed: KeyedWrite?
        let reply: (Reply<R.Outcome>) -> Void
        /// The store's memory was too old to refuse it, or to answer it without a write: it is decided again on the newest records.
        var mustBeFresh = false
        /// An earlier decision of it may have been committed, and overwritten since: what is refused now is not without effect.
        var mayHaveLanded = false
        /// Once it is decided.
        var decision: Decision?

        /// What the caller is told when a store did not take it.
        func refused(_ error: StoreError) -> Reply<R.Outcome> { mayHaveLanded ? .unknown : .refused(error) }
    }

    private struct Decision {
        let reply: Reply<R.Outcome>
        /// Which of the batch's groups it is on.
        let group: Int
        /// A member that it took for absent; nil: it knew all that it read.
        let guess: Member?
    }

    /// A group of the batch while commands are decided on it.
    private struct Group {
        var draft: GroupDraft
        /// As it was loaded.
        let version: Version
        let head: Record?
        /// Whether its records are the newest ones.
        let isFresh: Bool
        /// Members that were taken for absent.
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
            GroupChange(expected: version, draft: draft, absent: guesses.isEmpty ? [] : guesses.filter(draft.isChanged))
        }
    }

    /// A group whose commit is unknown, and the commands that wait until that is settled.
    private struct Parked {
        /// Decided by the unknown commit.
        var decided: [(entry: Entry, reply: Reply<R.Outcome>)] = []
        /// Came since.
        var waiting: [Entry] = []
        /// The group's head before and after the commit, for the metrics.
        let before: Record?
        let after: Record?
    }

    private let store: any RecordStore
    private let agenda: Agenda
    private let metrics: EngineMetrics
    /// Tells when commands are decided, where messages can be late and expire; nil: none can.
    private let expiryClock: (any ShopClock)?
    private let unknownCommits: UnknownCommits
    private var parked: [GroupKey: Parked] = [:]
    private var parkedCommands = 0
    private var mailbox = Deque<Entry>()
    /// A batch is between load and commit, or a turn is on the agenda.
    private var isBusy = false

    private var batch: [Entry] = []
    private var groups: [Group] = []
    /// What the batch reads: of each entry its command's read set and, if it has a key, the key's.
    private var readSets: [ReadSet] = []
    /// Where each group is, in a large batch.
    private var places: [GroupKey: Int] = [:]
    // Stored closures: made once, and specialized for the rules, as a call through a protocol would not be.
    private lazy var turn: () -> Void = { [unowned self] in runBatch() }
    private lazy var loaded: (Result<[LoadedGroup], StoreError>) -> Void = { [unowned self] in didLoad($0) }
    private lazy var committed: ([CommitOutcome]) -> Void = { [unowned self] in didCommit($0) }

    /// - Parameter expiryClock: tells which messages have expired; nil: none can be late.
    init(
        store: any RecordStore, agenda: Agenda, metrics: EngineMetrics = EngineMetrics(),
        expiryClock: (any ShopClock)? = nil
    ) {
        self.store = store
        self.agenda = agenda
        self.metrics = metrics
        self.expiryClock = expiryClock
        unknownCommits = UnknownCommits(store: store, agenda: agenda)
    }

    /// Decides `command` after all that were submitted before it. A command that meets another writer is decided again on
    /// what that one wrote.
    ///
    /// - Parameters:
    ///   - keyed: the command's idempotency key, kept with its effect.
    ///   - reply: called once. The outcome may not be durable yet: see ``RecordStore/barrier(_:)``.
    func submit(_ command: R.Command, keyed: KeyedWrite? = nil, reply: @escaping (Reply<R.Outcome>) -> Void) {
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

    // MARK: Load

    private func runBatch() {
        while batch.count < Limits.engineBatchCommands, let entry = mailbox.popFirst() {
            let readSet = R.readSet(of: entry.command)
            if !parked.isEmpty, park(entry, behind: readSet.group) { continue }
            readSets.append(readSet)
            // Behind the command's own: if the two are read at different moments, the version is the older one's.
            if let keyed = entry.keyed { readSets.append(ReadSet(readSet.group, .key(keyed.claim.key))) }
            batch.append(entry)
        }
        if batch.isEmpty { return endBatch() }
        metrics.began(batchOf: batch.count, waiting: batch.count + waiting)
        store.load(readSets, from: batch.contains(where: \.mustBeFresh) ? .throughMemory : .memory, completion: loaded)
    }

    private func didLoad(_ result: Result<[LoadedGroup], StoreError>) {
        switch result {
        case .failure(let error):
            for entry in batch { entry.reply(entry.refused(error)) }
            endBatch()
        case .success(let records):
            decideAll(records)
            commit()
        }
    }

    // MARK: Decide

    /// - Parameter records: of each read set, in order.
    private func decideAll(_ records: [LoadedGroup]) {
        var next = 0
        // Not before the records are there: this process may have been paused while it waited for them.
        let now = expiryClock?.wallMilliseconds
        for index in batch.indices {
            let place = place(of: readSets[next], records[next], now: now)
            let guess = records[next].certainty == .guessed ? readSets[next].member : nil
            next += 1
            let reply: Reply<R.Outcome>
            if let keyed = batch[index].keyed {
                groups[place].draft.add(.key(keyed.claim.key), records[next].member)
                next += 1
                reply = R.decide(batch[index].command, keyed, on: &groups[place].draft)
            } else {
                reply = .decided(R.decide(batch[index].command, on: &groups[place].draft))
            }
            groups[place].decided()
            batch[index].decision = Decision(reply: reply, group: place, guess: guess)
            if let guess { groups[place].guesses.append(guess) }
        }
    }

    /// Where the group of a read set is, with all that the command reads.
    private func place(of readSet: ReadSet, _ records: LoadedGroup, now: Int64?) -> Int {
        let place: Int
        if let known = knownPlace(of: readSet.group) {
            place = known
        } else {
            place = groups.count
            groups.append(Group(readSet.group, records, now: now))
            if batch.count > Self.searchedBatch { places[readSet.group] = place }
        }
        if let member = readSet.member { groups[place].draft.add(member, records.member) }
        return place
    }

    private func knownPlace(of group: GroupKey) -> Int? {
        batch.count > Self.searchedBatch ? places[group] : groups.firstIndex { $0.draft.key == group }
    }

    /// Up to this many commands a search is faster than a dictionary.
    private static var searchedBatch: Int { 8 }

    // MARK: Commit

    private func commit() {
        // By index, as wherever groups and entries are gone through on the way of every command: an iterator copies them.
        var changes: [GroupChange] = []
        for place in groups.indices where groups[place].hasChanges { changes.append(groups[place].change) }
        if changes.isEmpty {
            replyToAll { decision, _ in decision.reply }
        } else {
            store.commit(changes, completion: committed)
        }
    }

    private func didCommit(_ outcomes: [CommitOutcome]) {
        if outcomes.allSatisfy({ $0 == .committed }) {
            for place in groups.indices where groups[place].hasChanges { count(place) }
            return replyToAll { decision, _ in decision.reply }
        }
        // What was not changed by this batch is committed as it is; the others have their outcomes in the groups' order.
        var remaining = outcomes[...]
        let ofGroup = groups.map { $0.hasChanges ? remaining.removeFirst() : .committed }
        for place in groups.indices where groups[place].hasChanges && ofGroup[place] == .committed { count(place) }
        let again = batch.filter { entry in entry.decision.map { ofGroup[$0.group] == .conflict } ?? false }
        for (place, outcome) in ofGroup.enumerated() {
            if case .unknown(let version) = outcome { park(place, landed: version) }
        }
        replyToAll { decision, index in
            switch ofGroup[decision.group] {
            case .committed: return decision.reply
            case .refused(let error): return batch[index].refused(error)
            case .conflict, .unknown: return nil
            }
        }
        decideFirst(again)
    }

    private func decideFirst(_ entries: [Entry]) {
        for entry in entries.reversed() { mailbox.prepend(entry) }
        scheduleTurn()
    }

    private func count(_ place: Int) {
        if metrics.isSumming { metrics.committed(from: groups[place].head, to: groups[place].draft[.head]) }
    }

    /// Ends the batch. Replies only put work on agendas and mailboxes, so they cannot begin another batch meanwhile.
    ///
    /// - Parameter reply: the reply to the entry at this place of the batch; nil: the command is not answered now.
    private func replyToAll(_ reply: (Decision, Int) -> Reply<R.Outcome>?) {
        var unconfirmed: [Entry] = []
        for index in batch.indices {
            guard let decision = batch[index].decision, let reply = reply(decision, index) else { continue }
            if confirms(decision) {
                batch[index].reply(reply)
            } else {
                var again = batch[index]
                again.mustBeFresh = true
                unconfirmed.append(again)
            }
        }
        endBatch()
        if !unconfirmed.isEmpty { decideFirst(unconfirmed) }
    }

    /// Whether a decision stands once its group is committed. One on remembered records that changed nothing was not put to the test.
    private func confirms(_ decision: Decision) -> Bool {
        if let guess = decision.guess, !groups[decision.group].draft.isChanged(guess) { return false }
        return groups[decision.group].isFresh || groups[decision.group].hasChanges
    }

    private func endBatch() {
        batch.removeAll(keepingCapacity: true)
        groups.removeAll(keepingCapacity: true)
        readSets.removeAll(keepingCapacity: true)
        if !places.isEmpty { places.removeAll(keepingCapacity: true) }
        isBusy = false
        scheduleTurn()
    }
}

// MARK: Unknown commits

extension Engine {
    /// Keeps the commands of a group whose commit is unknown, and lets that be settled. Other groups go on.
    private func park(_ place: Int, landed: Version) {
        let group = groups[place]
        let key = group.draft.key
        var present = Parked(before: group.head, after: group.draft[.head])
        for entry in batch {
            if let decision = entry.decision, decision.group == place { present.decided.append((entry, decision.reply)) }
        }
        parkedCommands += present.decided.count
        parked[key] = present
        let unsettled = UnknownCommits.Unsettled(group: key, expected: group.version, head: group.head, landed: landed)
        unknownCommits.settle(unsettled) { [self] in unpark(key, $0) }
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
            case .overwritten where entry.keyed != nil || R.isIdempotent(entry.command):
                var repeated = entry
                repeated.mayHaveLanded = true
                again.append(repeated)
            case .overwritten: entry.reply(.unknown)
            }
        }
        if settlement == .landed, metrics.isSumming { metrics.committed(from: present.before, to: present.after) }
        decideFirst(again + present.waiting)
    }
}
