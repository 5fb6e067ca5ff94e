// Load, decide, commit: the engine takes a batch of commands from its mailbox, loads the records, decides with the pure
// rules, and commits all changed groups at once. What arrives meanwhile is the next batch, so there is no timer.

import DequeModule
import KontorCore

/// Decides commands of one kind on the records of one store.
///
/// The arrays of a batch are reused: a checkout is a dozen batches of one to three commands, and allocating arrays
/// would take most of its time.
final class Engine<R: Rules> {
    private typealias Entry = BatchEntry<R.Command, Reply<R.Outcome>>

    /// A group whose commit has an unknown outcome, and the commands that wait until it is settled.
    private struct Parked {
        /// The commands that the unknown commit decided.
        var decided: [Entry] = []
        /// The commands that arrived since.
        var waiting: [Entry] = []
        /// The group's head before and after the commit, for the metrics.
        let before: Record?
        let after: Record?
    }

    private let store: any RecordStore
    private let agenda: Agenda
    private let metrics: EngineMetrics
    private let clock: any ShopClock
    /// Whether messages can be late, so that rules must know when a command is decided.
    private let canBeLate: Bool
    private let unknownCommits: UnknownCommits
    private var parked: [GroupKey: Parked] = [:]
    private var parkedCommands = 0
    private var mailbox = Deque<Entry>()
    /// The repeated commands that wait, each with the reply of its latest copy; nil: so few wait that copies do no
    /// harm.
    private var repeated: [RepeatedName: (Reply<R.Outcome>) -> Void]?
    /// Whether a batch is between load and commit, or the next one is on the agenda.
    private var isBusy = false

    private var batch: [Entry] = []
    private var groups: [BatchGroup] = []
    /// What the batch reads: for each command its read set, and those of its keys.
    private var readSets: [ReadSet] = []
    /// What its commands read besides, as the heads told that were loaded last.
    private var furtherReads: [ReadSet] = []
    /// The groups by their keys; empty in a small batch.
    private var groupsByKey: [GroupKey: BatchGroup] = [:]
    // These closures are stored: they are made once and specialized for the rules, which a call through a protocol
    // would not be.
    private lazy var nextBatch: () -> Void = { [unowned self] in runBatch() }
    private lazy var loaded: ([LoadOutcome]) -> Void = { [unowned self] in didLoad($0) }
    private lazy var committed: ([CommitOutcome]) -> Void = { [unowned self] in didCommit($0) }

    /// - Parameter canBeLate: whether messages can be late.
    init(
        store: any RecordStore, agenda: Agenda, metrics: EngineMetrics = EngineMetrics(), clock: any ShopClock,
        canBeLate: Bool = false
    ) {
        self.store = store
        self.agenda = agenda
        self.metrics = metrics
        self.clock = clock
        self.canBeLate = canBeLate
        unknownCommits = UnknownCommits(store: store, agenda: agenda)
    }

    /// Decides a command after all that were submitted before it. If its commit meets another writer's, the command is
    /// decided again on the new records.
    ///
    /// - Parameters:
    ///   - keyed: the command's keys, which are looked at, and kept, with its effect.
    ///   - reply: called once. The outcome may not be durable yet: see ``RecordStore/barrier(_:)``.
    func submit(_ command: R.Command, keyed: KeyedWrite? = nil, reply: @escaping (Reply<R.Outcome>) -> Void) {
        append(Entry(command, keyed: keyed, isRepeated: false, reply: reply))
    }

    /// Decides a command that its sender repeats until it is answered. A copy of one that waits is not decided, too; it
    /// gets the reply in the place of the one before, whose sender may be gone.
    func submitRepeated(_ command: R.Command, reply: @escaping (Reply<R.Outcome>) -> Void) {
        if repeated == nil, waiting >= Limits.mailboxCommandsWithCopies { noteRepeated() }
        if repeated != nil, let name = R.name(of: command), repeated?.updateValue(reply, forKey: name) != nil {
            return metrics.copies.increment()
        }
        append(Entry(command, keyed: nil, isRepeated: true, reply: reply))
    }

    private func append(_ entry: Entry) {
        mailbox.append(entry)
        scheduleBatch()
    }

    private func noteRepeated() {
        var noted: [RepeatedName: (Reply<R.Outcome>) -> Void] = [:]
        noted.reserveCapacity(2 * waiting)
        for entry in mailbox where entry.isRepeated { R.name(of: entry.command).map { noted[$0] = entry.reply } }
        for entry in parked.values.lazy.flatMap(\.waiting) where entry.isRepeated {
            R.name(of: entry.command).map { noted[$0] = entry.reply }
        }
        repeated = noted
    }

    /// Gives a command that waits no longer the reply of its latest copy.
    private func takeLatestReply(_ entry: Entry) {
        guard repeated != nil, entry.isRepeated, let name = R.name(of: entry.command),
            let latest = repeated?.removeValue(forKey: name)
        else { return }
        entry.reply = latest
    }

    /// Commands that wait to be decided, without those of the present batch.
    var waiting: Int { mailbox.count + parkedCommands }

    private func scheduleBatch() {
        guard !isBusy, !mailbox.isEmpty else { return }
        isBusy = true
        agenda.add(nextBatch)
    }

    // MARK: Load

    private func runBatch() {
        while batch.count < Limits.engineBatchCommands, let entry = mailbox.popFirst() {
            let readSet = R.readSet(of: entry.command)
            if !parked.isEmpty, park(entry, behind: readSet.group) { continue }
            takeLatestReply(entry)
            readSets.append(readSet)
            // The keys' read sets follow the command's: if they are read at different moments, the engine uses the
            // oldest version.
            entry.keyed?.forEachMember { readSets.append(ReadSet(readSet.group, $0)) }
            batch.append(entry)
        }
        if batch.isEmpty { return endBatch() }
        metrics.began(batchOf: batch.count, waiting: batch.count + waiting)
        load()
    }

    private func load() {
        guard !furtherReads.isEmpty else {
            return store.load(
                readSets, from: batch.contains(where: \.mustBeFresh) ? .throughMemory : .memory, completion: loaded)
        }
        // What is guessed is put to the test only if it is written, and further records mostly are not.
        store.load(readSets + furtherReads, from: .throughMemory, completion: loaded)
    }

    private func didLoad(_ outcomes: [LoadOutcome]) {
        if findFurtherReads(outcomes) { return load() }
        decideAll(outcomes)
        commit()
    }

    /// Finds what the commands read besides, by the heads that were loaded. Returns whether it was not loaded with
    /// them. What was found once stays: if it cannot be read, or the head says otherwise by now, nothing is read anew.
    private func findFurtherReads(_ outcomes: [LoadOutcome]) -> Bool {
        var found: [ReadSet] = []
        var next = 0
        for entry in batch {
            if R.mayReadFurther(entry.command), case .success(let records) = outcomes[next] {
                let members = R.furtherReads(of: entry.command, head: records.head)
                for member in members { found.append(ReadSet(readSets[next].group, member)) }
            }
            next += entry.reads
        }
        if found == furtherReads { return false }
        let known = Set(furtherReads)
        let new = found.filter { !known.contains($0) }
        furtherReads += new
        return !new.isEmpty
    }

    // MARK: Decide

    /// Decides the commands whose records were loaded, and refuses the others.
    ///
    /// - Parameter outcomes: one for each read set, in order.
    private func decideAll(_ outcomes: [LoadOutcome]) {
        var next = 0
        // The time is read only now: this process may have been paused while it waited for the records.
        let now = canBeLate ? clock.wallMilliseconds : nil
        let failed = furtherReads.isEmpty ? [:] : addFurtherReads(outcomes, now: now)
        for entry in batch {
            let first = next
            next += entry.reads
            if !failed.isEmpty, let error = failed[readSets[first].group] {
                entry.refuse(error)
            } else {
                decide(entry, first..<next, outcomes, now: now)
            }
        }
    }

    /// Adds what the commands read besides to the groups, before anything is decided on them. All reads are added in
    /// their order, so that a group gets the version of the first one.
    ///
    /// - Returns: the groups of which something could not be read.
    private func addFurtherReads(_ outcomes: [LoadOutcome], now: Int64?) -> [GroupKey: StoreError] {
        var failed: [GroupKey: StoreError] = [:]
        for (readSet, outcome) in zip(readSets + furtherReads, outcomes) {
            switch outcome {
            case .success(let records):
                let group = group(readSet.group, records, now: now)
                if let member = readSet.member { group.draft.add(member, records.member) }
            case .failure(let error): failed[readSet.group] = error
            }
        }
        return failed
    }

    /// Decides one command of the batch, or refuses it if something that it needs cannot be read.
    ///
    /// - Parameter reads: its places among the read sets and outcomes: its own, then those of its keys.
    private func decide(_ entry: Entry, _ reads: Range<Int>, _ outcomes: [LoadOutcome], now: Int64?) {
        var group: BatchGroup?
        var isGuess = false
        for read in reads {
            switch outcomes[read] {
            case .failure(let error): return entry.refuse(error)
            case .success(let records):
                if group == nil { group = self.group(readSets[read].group, records, now: now) }
                if let member = readSets[read].member, group?.add(member, records) == true { isGuess = true }
            }
        }
        guard let group else { return }
        let reply: Reply<R.Outcome>
        if let keyed = entry.keyed {
            reply = R.decide(entry.command, keyed, now: now ?? clock.wallMilliseconds, on: &group.draft)
        } else {
            reply = .decided(R.decide(entry.command, on: &group.draft))
        }
        entry.decide(reply, on: group, isGuess: isGuess)
    }

    /// The batch's group with a key. It begins with the loaded records.
    private func group(_ key: GroupKey, _ records: LoadedGroup, now: Int64?) -> BatchGroup {
        if batch.count > Self.searchedBatch { return group(in: &groupsByKey[key], key, records, now: now) }
        var known = groups.first { $0.draft.key == key }
        return group(in: &known, key, records, now: now)
    }

    /// The group in a place, or a new one, which is put there. In place, so that the dictionary is searched once.
    private func group(
        in place: inout BatchGroup?, _ key: GroupKey, _ records: LoadedGroup, now: Int64?
    ) -> BatchGroup {
        if let place { return place }
        let group = BatchGroup(key, records, now: now)
        groups.append(group)
        place = group
        return group
    }

    /// The largest batch in which a search for a group is faster than a dictionary.
    private static var searchedBatch: Int { 8 }

    // MARK: Commit

    private func commit() {
        var changes: [GroupChange] = []
        changes.reserveCapacity(groups.count)
        for group in groups where group.hasChanges { changes.append(group.change) }
        if changes.isEmpty {
            replyToAll()
        } else {
            store.commit(changes, completion: committed)
        }
    }

    /// - Parameter outcomes: one for each changed group, in order.
    private func didCommit(_ outcomes: [CommitOutcome]) {
        var next = 0
        for group in groups where group.hasChanges {
            group.outcome = outcomes[next]
            next += 1
            switch group.outcome {
            case .committed: if metrics.isSumming { metrics.committed(from: group.head, to: group.draft[.head]) }
            case .unknown(let version): park(group, landed: version)
            case .conflict, .refused: break
            }
        }
        replyToAll()
    }

    private func decideFirst(_ entries: [Entry]) {
        for entry in entries.reversed() { mailbox.prepend(entry) }
        scheduleBatch()
    }

    /// Ends the batch. Replies only add work to agendas and mailboxes, so none of them begins another batch meanwhile.
    private func replyToAll() {
        var conflicting: [Entry] = []
        var unconfirmed: [Entry] = []
        for entry in batch {
            guard let group = entry.group else { continue }
            switch group.outcome {
            case .committed:
                if confirms(entry, group) {
                    entry.reply(entry.decision)
                } else {
                    entry.mustBeFresh = true
                    unconfirmed.append(entry)
                }
            case .refused(let error): entry.refuse(error)
            case .conflict: conflicting.append(entry)
            case .unknown: break
            }
        }
        endBatch()
        decideFirst(conflicting + unconfirmed)
    }

    /// Whether a decision stands once its group is committed. One on remembered records of a group that did not change
    /// was not put to the test. A commit tests the version, and all guesses.
    private func confirms(_ entry: Entry, _ group: BatchGroup) -> Bool {
        group.hasChanges || (group.isFresh && !entry.isGuess)
    }

    private func endBatch() {
        batch.removeAll(keepingCapacity: true)
        groups.removeAll(keepingCapacity: true)
        readSets.removeAll(keepingCapacity: true)
        if !furtherReads.isEmpty { furtherReads.removeAll() }
        if !groupsByKey.isEmpty { groupsByKey.removeAll(keepingCapacity: true) }
        // As long as one waits, its latest copy has its reply.
        if repeated?.isEmpty == true { repeated = nil }
        isBusy = false
        scheduleBatch()
    }
}

// MARK: Unknown commits

extension Engine {
    /// Sets the commands of a group aside until its unknown commit is settled. Other groups go on.
    private func park(_ group: BatchGroup, landed: Version) {
        let key = group.draft.key
        var present = Parked(before: group.head, after: group.draft[.head])
        present.decided = batch.filter { $0.group === group }
        parkedCommands += present.decided.count
        parked[key] = present
        let unsettled = UnknownCommits.Unsettled(group: key, expected: group.version, head: group.head, landed: landed)
        unknownCommits.settle(unsettled) { [self] in unpark(key, $0) }
    }

    /// Sets a command aside if its group has an unknown commit, to keep the order of the group's commands, or refuses
    /// it if too many wait there. Returns whether it did.
    private func park(_ entry: Entry, behind group: GroupKey) -> Bool {
        guard let waiting = parked[group]?.waiting.count else { return false }
        if waiting >= Limits.parkedCommands {
            takeLatestReply(entry)
            entry.refuse(.unreachable("an earlier write to \(group) is not settled"))
            return true
        }
        parked[group]?.waiting.append(entry)
        parkedCommands += 1
        return true
    }

    private func unpark(_ group: GroupKey, _ settlement: UnknownCommits.Settlement) {
        guard let present = parked.removeValue(forKey: group) else { return }
        parkedCommands -= present.decided.count + present.waiting.count
        var again: [Entry] = []
        for entry in present.decided {
            switch settlement {
            case .landed: entry.reply(entry.decision)
            case .neverLands: again.append(entry)
            case .overwritten where hasKeptKey(entry) || R.isIdempotent(entry.command):
                entry.mayHaveLanded = true
                again.append(entry)
            case .overwritten: entry.reply(.unknown)
            }
        }
        if settlement == .landed, metrics.isSumming { metrics.committed(from: present.before, to: present.after) }
        decideFirst(again + present.waiting)
    }

    /// Whether a decision kept a key, if it landed. Then the key's record tells whether the command had its effect.
    private func hasKeptKey(_ entry: Entry) -> Bool {
        guard entry.keyed?.kept != nil, case .decided(let outcome) = entry.decision else { return false }
        return R.isComplete(outcome, of: entry.command)
    }
}
