// Load, decide, commit: the engine takes a batch of commands from its mailbox, loads the records, decides with the pure
// rules, and commits all changed groups at once. What arrives meanwhile is the next batch, so there is no timer.

import DequeModule
import KontorCore

/// Decides commands of one kind on the records of one store.
///
/// The arrays of a batch are reused: a checkout is a dozen batches of one to three commands, and allocating arrays
/// would take most of its time.
final class Engine<R: Rules> {
    private typealias Entry = BatchEntry<R>
    private typealias Decision = BatchDecision<R>

    /// A group whose commit has an unknown outcome, and the commands that wait until it is settled.
    private struct Parked {
        /// The commands that the unknown commit decided.
        var decided: [(entry: Entry, reply: Reply<R.Outcome>)] = []
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
    /// The index of each group; empty in a small batch.
    private var places: [GroupKey: Int] = [:]
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
        mailbox.append(Entry(command: command, keyed: keyed, reply: reply))
        scheduleBatch()
    }

    /// Decides a command that its sender repeats until it is answered. A copy of one that waits is not decided, too; it
    /// gets the reply in the place of the one before, whose sender may be gone.
    func submitRepeated(_ command: R.Command, reply: @escaping (Reply<R.Outcome>) -> Void) {
        if repeated == nil, waiting >= Limits.mailboxCommandsWithCopies { noteRepeated() }
        if repeated != nil, let name = R.name(of: command), repeated?.updateValue(reply, forKey: name) != nil { return }
        submit(command, reply: reply)
    }

    private func noteRepeated() {
        var noted: [RepeatedName: (Reply<R.Outcome>) -> Void] = [:]
        noted.reserveCapacity(2 * waiting)
        for entry in mailbox { if let name = R.name(of: entry.command) { noted[name] = entry.reply } }
        for entry in parked.values.lazy.flatMap(\.waiting) {
            if let name = R.name(of: entry.command) { noted[name] = entry.reply }
        }
        repeated = noted
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
        while batch.count < Limits.engineBatchCommands, var entry = mailbox.popFirst() {
            let readSet = R.readSet(of: entry.command)
            if !parked.isEmpty, park(entry, behind: readSet.group) { continue }
            if repeated != nil, let name = R.name(of: entry.command), let latest = repeated?.removeValue(forKey: name) {
                entry.reply = latest
            }
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
    /// them.
    private func findFurtherReads(_ outcomes: [LoadOutcome]) -> Bool {
        var found: [ReadSet] = []
        var next = 0
        for index in batch.indices {
            if case .success(let records) = outcomes[next] {
                let members = R.furtherReads(of: batch[index].command, head: records.head)
                for member in members { found.append(ReadSet(readSets[next].group, member)) }
            }
            next += reads(of: batch[index].keyed)
        }
        if found == furtherReads { return false }
        furtherReads = found
        return true
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
        for index in batch.indices {
            let first = next
            next += reads(of: batch[index].keyed)
            if !failed.isEmpty, let error = failed[readSets[first].group] {
                refuse(index, error)
            } else {
                decide(index, first..<next, outcomes, now: now)
            }
        }
    }

    /// The number of a command's read sets: its own, and those of its keys.
    private func reads(of keyed: KeyedWrite?) -> Int {
        guard let keyed else { return 1 }
        var count = 1
        keyed.forEachMember { _ in count += 1 }
        return count
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
                let place = place(of: readSet.group, records, now: now)
                if let member = readSet.member { groups[place].draft.add(member, records.member) }
            case .failure(let error): failed[readSet.group] = error
            }
        }
        return failed
    }

    /// Replies to a command whose records cannot be read.
    private func refuse(_ index: Int, _ error: StoreError) {
        batch[index].decision = nil
        batch[index].reply(batch[index].refused(error))
    }

    /// Decides one command of the batch, or refuses it if something that it needs cannot be read.
    ///
    /// - Parameter reads: its places among the read sets and outcomes: its own, then those of its keys.
    private func decide(_ index: Int, _ reads: Range<Int>, _ outcomes: [LoadOutcome], now: Int64?) {
        var place: Int?
        var isGuess = false
        for read in reads {
            switch outcomes[read] {
            case .failure(let error): return refuse(index, error)
            case .success(let records):
                let group = place ?? self.place(of: readSets[read].group, records, now: now)
                place = group
                guard let member = readSets[read].member else { continue }
                groups[group].draft.add(member, records.member)
                if records.certainty == .guessed {
                    groups[group].guesses.append(member)
                    isGuess = true
                }
            }
        }
        guard let place else { return }
        let reply: Reply<R.Outcome>
        if let keyed = batch[index].keyed {
            reply = R.decide(batch[index].command, keyed, now: now ?? clock.wallMilliseconds, on: &groups[place].draft)
        } else {
            reply = .decided(R.decide(batch[index].command, on: &groups[place].draft))
        }
        groups[place].decided()
        batch[index].decision = Decision(reply: reply, group: place, isGuess: isGuess)
    }

    /// The index of a group, which begins with the loaded records.
    private func place(of group: GroupKey, _ records: LoadedGroup, now: Int64?) -> Int {
        if let known = knownPlace(of: group) { return known }
        groups.append(BatchGroup(group, records, now: now))
        if batch.count > Self.searchedBatch { places[group] = groups.count - 1 }
        return groups.count - 1
    }

    private func knownPlace(of group: GroupKey) -> Int? {
        batch.count > Self.searchedBatch ? places[group] : groups.firstIndex { $0.draft.key == group }
    }

    /// The largest batch in which a search for a group is faster than a dictionary.
    private static var searchedBatch: Int { 8 }

    // MARK: Commit

    private func commit() {
        // By index, as wherever groups and entries are gone through on the way of every command: an iterator copies
        // them.
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
        // Unchanged groups count as committed; the changed ones have their outcomes in the groups' order.
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
        scheduleBatch()
    }

    private func count(_ place: Int) {
        if metrics.isSumming { metrics.committed(from: groups[place].head, to: groups[place].draft[.head]) }
    }

    /// Ends the batch. Replies only add work to agendas and mailboxes, so none of them begins another batch meanwhile.
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

    /// Whether a decision stands once its group is committed. One on remembered records of a group that did not change
    /// was not put to the test. A commit tests the version, and all guesses.
    private func confirms(_ decision: Decision) -> Bool {
        groups[decision.group].hasChanges || (groups[decision.group].isFresh && !decision.isGuess)
    }

    private func endBatch() {
        batch.removeAll(keepingCapacity: true)
        groups.removeAll(keepingCapacity: true)
        readSets.removeAll(keepingCapacity: true)
        if !furtherReads.isEmpty { furtherReads.removeAll() }
        if !places.isEmpty { places.removeAll(keepingCapacity: true) }
        // As long as one waits, its latest copy has its reply.
        if repeated?.isEmpty == true { repeated = nil }
        isBusy = false
        scheduleBatch()
    }
}

// MARK: Unknown commits

extension Engine {
    /// Sets the commands of a group aside until its unknown commit is settled. Other groups go on.
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

    /// Sets a command aside if its group has an unknown commit, to keep the order of the group's commands, or refuses
    /// it if too many wait there. Returns whether it did.
    private func park(_ entry: Entry, behind group: GroupKey) -> Bool {
        guard let waiting = parked[group]?.waiting.count else { return false }
        if waiting >= Limits.parkedCommands {
            entry.reply(entry.refused(.unreachable("an earlier write to \(group) is not settled")))
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
        for (entry, reply) in present.decided {
            switch settlement {
            case .landed: entry.reply(reply)
            case .neverLands: again.append(entry)
            // The key's record tells whether the command had its effect.
            case .overwritten where entry.keyed?.kept != nil || R.isIdempotent(entry.command):
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
